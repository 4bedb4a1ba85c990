from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from pyg_irllrec.explain import IntentExplainer
from pyg_irllrec.serving import Bundle
from pyg_irllrec.serving._explain import explain
from pyg_irllrec.typing import RATES
from tests.serving.bundles import (
    NUM_ITEMS,
    bare_bundle,
    plain_bundle,
    small_data,
    small_model,
)


def test_score_and_rank_are_those_of_recommend():
    bundle = plain_bundle()
    best = bundle.ranker.recommend(torch.tensor([5]), 4, exclude=bundle.seen)
    for rank, row in enumerate(best.item[0].tolist(), start=1):
        found = bundle.explain('user-005', f'book {row}')
        assert found.rank == rank
        assert found.score == pytest.approx(best.score[0, rank - 1].item())
        assert found.title == f'The Story of Book {row}'
        assert (found.user, found.item) == ('user-005', f'book {row}')
    left = bundle.ranker.num_items - int(bundle.seen.degree[5])
    assert f'is number 4 of the {left} items that user user-005 has not' in found.text


def test_own_items_that_are_most_similar():
    bundle = plain_bundle()
    user, item = bundle.data[RATES].edge_index
    own = item[user == 5].unique()
    row = next(row for row in range(40) if row not in own)
    found = bundle.explain('user-005', f'book {row}')
    embedding = bundle.ranker.item_embedding
    cosine = cosine_similarity(embedding[own], embedding[row].unsqueeze(0))
    best = own[cosine.argsort(descending=True)][: len(found.similar)].tolist()
    assert best and len(best) in (3, len(own), int((cosine >= threshold(bundle)).sum()))
    assert [each.item for each in found.similar] == [f'book {each}' for each in best]
    assert found.similar[0].score == pytest.approx(cosine.max().item())
    named = [f'"The Story of Book {each}"' for each in best]
    names = ' and '.join(filter(None, [', '.join(named[:-1]), named[-1]]))
    assert f'it is most similar to {names}.' in found.text


def threshold(bundle):
    """The cosine from which items are similar, computed from all pairs."""
    unit = normalize(bundle.ranker.item_embedding)
    mean = (unit @ unit.t()).mean().item()
    return mean + (1 - mean) * min(0.9, 3 / unit.size(1) ** 0.5)


def test_chance_similarity_is_not_claimed():
    bundle = plain_bundle()
    cosines = []
    for row in range(0, NUM_ITEMS, 3):
        found = bundle.explain('user-005', f'book {row}')
        assert ('is most similar to' in found.text) == (len(found.similar) > 0)
        none = 'No item that user user-005 chose is similar to it.'
        assert (none in found.text) == (found.similar == [])
        cosines += [each.score for each in found.similar]
    assert (
        min(cosines) >= threshold(bundle) - 1e-6 and len(cosines) < 3 * NUM_ITEMS // 3
    )


def test_quotes_in_titles_do_not_nest():
    bundle = plain_bundle()
    data = bundle.data.clone()
    data['item'].title = ['The "orbit", or “planet”'] * NUM_ITEMS
    found = Bundle(bundle.model, data).explain('user-005', 'book 3')
    assert found.title == 'The "orbit", or “planet”'
    assert found.text.startswith("\"The 'orbit', or 'planet'\" is ")


def test_a_seen_item_has_no_rank_and_is_not_similar_to_itself():
    bundle = plain_bundle()
    user, item = bundle.data[RATES].edge_index
    row = int(item[user == 5][0])
    found = bundle.explain('user-005', f'book {row}')
    assert found.rank is None and 'is one of the items that user' in found.text
    assert f'book {row}' not in [each.item for each in found.similar]


def test_shared_intents():
    bundle = plain_bundle()
    found = bundle.explain('user-005', 'book 3')
    of_user = {each.name: each for each in bundle.intents('user-005')}
    of_item = {each.name: each.lift for each in bundle.item_intents('book 3')}
    product = {
        name: each.lift * of_item[name]
        for name, each in of_user.items()
        if each.lift > 1 and of_item[name] > 1
    }
    best = sorted(product, key=product.get, reverse=True)[:3]
    assert best and found.intents == [of_user[name] for name in best]
    assert found.text.endswith(f'Shared intents: {"; ".join(best)}.')


@pytest.mark.parametrize(('weight', 'is_stated'), [(0.0, True), (0.5, False)])
def test_a_small_weight_of_the_graph_is_stated(weight, is_stated):
    data, _ = small_data()
    model = small_model(data)
    model.blend_weight.copy_(torch.tensor([weight, 1 - weight]))
    text = Bundle(model, data).explain('user-005', 'book 3').text
    assert ('graph, whose weight in the score is 0.' in text) == is_stated


def test_without_intents_titles_and_interactions():
    bundle = bare_bundle()
    found = bundle.explain(3, 8)
    assert found.intents == [] and found.title == '8'
    assert found.text.startswith(f'Item 8 is number {found.rank} of the ')
    # A user without interactions.
    data = bundle.data.clone()
    data[RATES].edge_index = data[RATES].edge_index[:, data[RATES].edge_index[0] != 3]
    found = Bundle(small_model(data, alignment='none'), data).explain(3, 8)
    assert found.similar == []
    assert found.text.count('.') == 1


def test_long_titles_are_cut_only_in_sentences():
    bundle = plain_bundle()
    data = bundle.data.clone()
    data['item'].title = ['word ' * 40] * data['item'].num_nodes
    found = Bundle(bundle.model, data).explain('user-005', 'book 3')
    assert len(found.title) == 200
    assert max(map(len, found.text.split('"'))) <= 120 and ' ..."' in found.text


def test_unknown_ids():
    with pytest.raises(ValueError, match="'user' must hold ids of users"):
        plain_bundle().explain('nobody', 'book 3')
    with pytest.raises(ValueError, match="'item' must hold ids of items"):
        plain_bundle().explain('user-005', 'nothing')


def test_agrees_with_the_explainer():
    bundle = plain_bundle()
    explain = IntentExplainer(bundle.model, bundle.data)
    found = bundle.explain('user-005', 'book 3')
    known = explain.recommendation(5, 3)
    assert found.score == pytest.approx(known.score)
    similar = [n.id for n, cosine in known.similar if cosine >= threshold(bundle)]
    assert similar and [each.item for each in found.similar] == similar


def test_a_users_items_are_scored_once(monkeypatch):
    bundle, calls = plain_bundle(), []
    score = bundle.ranker.score
    monkeypatch.setattr(
        bundle.ranker, 'score', lambda users: calls.append(1) or score(users)
    )
    user, items = bundle.users[0], [bundle.items[3], bundle.items[5]]
    together = explain(bundle, user, items)
    assert len(calls) == 1
    assert together == [bundle.explain(user, item) for item in items]
