from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import unit_norm
from pyg_irllrec.nn import LightGCN, Recommender
from pyg_irllrec.nn.models._blend import standardise
from pyg_irllrec.serving import Bundle
from pyg_irllrec.serving._new_user import fold_in, new_user_scores
from pyg_irllrec.utils import bipartite_edge_index
from tests.serving.bundles import (
    NUM_ITEMS,
    NUM_USERS,
    bare_bundle,
    plain_bundle,
    small_data,
    small_model,
)

CHOSEN = torch.tensor([3, 8, 21])
IDS = ['book 21', 'book 3', 'book 8', 'book 3']


def with_new_user(bundle, items, frozen):
    """Embeddings on the graph with one more user as the last node; with frozen,
    messages over the new edges reach only the user."""
    model = bundle.model
    x = model.backbone.node_features()
    edges, weight = model.edge_index.as_tensor().long(), model.edge_weight
    num_nodes = NUM_USERS + NUM_ITEMS
    new = torch.stack([items + NUM_USERS, torch.full_like(items, num_nodes)])
    degree = torch.bincount(edges[1], minlength=num_nodes)[items + NUM_USERS]
    if frozen:
        added = (len(items) * (degree + 1)).rsqrt()
        edges, weight = torch.cat([edges, new], 1), torch.cat([weight, added])
    else:
        edges, weight = torch.cat([edges, new, new.flip(0)], 1), None
    larger = LightGCN(
        NUM_USERS, NUM_ITEMS + 1, x.size(1), num_layers=model.backbone.num_layers
    )
    x = torch.cat([x, x.new_zeros(1, x.size(1))])
    with torch.no_grad():
        return larger.get_embedding(edges, weight, x)


def test_folding_in_is_a_propagation():
    """Exact, except that the new user would change the item embeddings a little."""
    bundle = bare_bundle()
    found = fold_in(bundle, CHOSEN)[0]
    torch.testing.assert_close(with_new_user(bundle, CHOSEN, True)[-1], found)
    grown = with_new_user(bundle, CHOSEN, False)
    cosine = torch.cosine_similarity(grown[-1], found, dim=0)
    assert 0.98 < cosine < 0.99999
    scores = torch.stack([grown[NUM_USERS:-1] @ grown[-1], grown[NUM_USERS:-1] @ found])
    assert scores.corrcoef()[0, 1] > 0.99


def test_ranked_by_the_folded_embedding():
    bundle = bare_bundle()
    best = bundle.recommend_new([3, '8', 21], k=NUM_ITEMS)
    assert best.users == ['new'] and len(best['new']) == NUM_ITEMS - 3
    scores = bundle.ranker.item_embedding @ fold_in(bundle, CHOSEN)[0]
    kept = [
        row for row in scores.argsort(descending=True).tolist() if row not in CHOSEN
    ]
    assert best.item[0].tolist()[: NUM_ITEMS - 3] == kept


def test_companions_score_a_new_user_exactly():
    bundle = plain_bundle()
    (ease,) = bundle.model.companions
    items = bundle.model.edge_index.new_tensor(CHOSEN.tolist()).long()
    solution = ease._solved()[1]
    row = torch.zeros(1, NUM_ITEMS)
    row[0, CHOSEN] = 1
    torch.testing.assert_close(ease.score_items(items), row @ solution)
    graph = unit_norm(fold_in(bundle, CHOSEN)) @ bundle.ranker.item_embedding.t()
    weights = bundle.model.blend_weight.tolist()
    expected = weights[0] * standardise(graph) + weights[1] * standardise(
        row @ solution
    )
    best = bundle.recommend_new(IDS, k=NUM_ITEMS)
    left = [each for each in range(NUM_ITEMS) if each not in CHOSEN]
    found = torch.empty(NUM_ITEMS).index_put((best.item[0, :-3],), best.score[0, :-3])
    torch.testing.assert_close(found[left], expected[0, left])


def test_a_known_user_as_a_new_one():
    """The items of a user give about the same ranking as the user."""
    bundle = plain_bundle()
    for row in range(0, NUM_USERS, 7):
        _, own = bundle.seen.lookup(torch.tensor([row]))
        known = bundle.recommend([bundle.users[row]], k=10)
        new = bundle.recommend_new([bundle.items[each] for each in own], k=10)
        assert len(set(known.item[0].tolist()) & set(new.item[0].tolist())) >= 4


def test_a_text_without_items():
    bundle = plain_bundle()
    text = bundle.data['user'].profile_text[5]
    alone = bundle.recommend_new(text=text, k=5)
    assert alone.item.shape == (1, 5)
    vector = bundle.ranker.tower.users(torch.from_numpy(bundle.encoder([text])))
    expected = (unit_norm(vector) @ bundle.ranker.item_embedding.t()).topk(5).indices
    assert alone.item.equal(expected)


def all_scores(bundle, items, **options):
    best = bundle.recommend_new(items, k=NUM_ITEMS, **options)
    return torch.empty(NUM_ITEMS).index_put((best.item[0],), best.score[0])


@pytest.mark.parametrize('weight', [0.0, 0.6])
def test_the_weight_of_a_text_is_independent_of_the_blend(weight, monkeypatch):
    """It counts as two items, with and without the graph in the blend."""
    bundle = plain_bundle()
    text = bundle.data['user'].profile_text[5]
    blend = torch.tensor([weight, 1 - weight])
    monkeypatch.setitem(bundle.model._buffers, 'blend_weight', blend)
    by_text = standardise(all_scores(bundle, [], text=text).unsqueeze(0))
    items = CHOSEN.to(bundle.model.edge_index.device)
    by_items = standardise(new_user_scores(bundle, items, None))
    both = new_user_scores(bundle, items, text)
    torch.testing.assert_close(both, 0.6 * by_items + 0.4 * by_text)
    assert new_user_scores(bundle, items, None).argmax() != both.argmax()


def test_options_of_recommend():
    best = plain_bundle().recommend_new(
        IDS, among=['book 1', 'book 2', 'book 3'], exclude=['book 2']
    )
    assert [each.item for each in best['new']] == ['book 1']
    text = plain_bundle().data['item'].text[5]
    raised = plain_bundle().recommend_new(IDS, k=1, intents={text: 1}, dial=100)
    assert not raised.item.equal(plain_bundle().recommend_new(IDS, k=1).item)


@pytest.mark.parametrize('backbone', ['sgl', 'dccf', 'bigcf', 'alpharec'])
def test_every_backbone(backbone):
    data, _ = small_data()
    model = small_model(data, backbone, 'none')
    best = Bundle(model, data).recommend_new(IDS, k=5)
    assert (best.item >= 0).all() and best.score.isfinite().all()


def test_an_item_without_interactions():
    torch.manual_seed(0)
    data, _ = small_data()
    edges = data['user', 'rates', 'item'].edge_index
    edges = edges[:, edges[1] != 3]
    data['user', 'rates', 'item'].edge_index = edges
    graph = bipartite_edge_index(edges, NUM_USERS, NUM_ITEMS)
    bundle = Bundle(Recommender(LightGCN(NUM_USERS, NUM_ITEMS, 8), graph), data)
    assert fold_in(bundle, torch.tensor([3])).equal(bundle.ranker.item_embedding[3:4])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({}, r"'items' must hold at least one id if there is no 'text', got none"),
        ({'items': 'book 3'}, "'items' must be a list of ids, got the single id"),
        ({'items': ['film']}, "'items' must hold ids of items"),
        ({'text': ''}, "'text' must be a non-empty string"),
        ({'text': 5}, "'text' must be a non-empty string"),
        ({'text': 'qqq zzz'}, "'text' must have words that occur"),
        ({'items': IDS, 'k': 0}, "'k' must be an integer"),
    ],
)
def test_invalid_options(options, message):
    with pytest.raises(ValueError, match=message):
        plain_bundle().recommend_new(**options)


def test_a_text_needs_an_encoder():
    with pytest.raises(ValueError, match="'text' needs a bundle with a text encoder"):
        bare_bundle().recommend_new(text='war')
    bundle = plain_bundle()
    narrow = Bundle(bundle.model, bundle.data, encoder=lambda texts: [[1.0]])
    with pytest.raises(ValueError, match='of width 16, got vectors of width 1'):
        narrow.recommend_new(text='war')
