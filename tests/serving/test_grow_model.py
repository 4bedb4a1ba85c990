from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import LGConv

from pyg_irllrec.nn import (
    IntentNodeBackbone,
    ItemKNN,
    LightGCN,
    ModuleBackbone,
    Popularity,
    Recommender,
    SoftmaxLoss,
)
from pyg_irllrec.presets import BACKBONES
from pyg_irllrec.serving import FrozenRanker
from pyg_irllrec.serving._grow_model import grow_model, merge_pairs
from pyg_irllrec.transforms import IntentNodes
from pyg_irllrec.typing import RATES
from pyg_irllrec.utils import UserItems, bipartite_edge_index
from tests.serving.bundles import NUM_ITEMS, NUM_USERS, small_data, small_model

USERS = torch.arange(NUM_USERS)
NONE = torch.empty(2, 0, dtype=torch.long)
PAIRS = torch.tensor([[NUM_USERS, 0, 3], [3, NUM_ITEMS, NUM_ITEMS + 1]])


@pytest.fixture(scope='module')
def data():
    return small_data()[0]


@pytest.fixture(scope='module')
def larger(data):
    """Two more users and items, with the texts of the first two."""
    larger = data.clone()
    for side in ('user', 'item'):
        larger[side].num_nodes = data[side].num_nodes + 2
        for name in ('profile', 'intent'):
            vectors = data[side][name]
            larger[side][name] = torch.cat([vectors, vectors[:2]])
    return larger


def graph(data):
    return bipartite_edge_index(data[RATES].edge_index, NUM_USERS, NUM_ITEMS)


@pytest.mark.parametrize('dtype', [torch.float64, torch.float16])
def test_the_precision_of_a_model_stays(data, larger, dtype):
    model = small_model(data).eval().to(dtype)
    new = grow_model(model, larger, PAIRS[:, :1])
    assert {each.dtype for each in new.parameters()} == {dtype}
    texts = (larger[side].profile for side in ('user', 'item'))
    ranker = FrozenRanker(new, user_text=next(texts), item_text=next(texts))
    assert ranker.item_embedding.dtype == dtype
    assert ranker.score(USERS).isfinite().all()


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('alignment', ['auto', 'reconstruction', 'full'])
def test_every_backbone_grows(data, larger, backbone, alignment):
    model = small_model(data, backbone, alignment).eval()
    same = grow_model(model, data, NONE)
    torch.testing.assert_close(same.score(USERS), model.score(USERS))
    new = grow_model(model, larger, PAIRS)
    assert (new.num_users, new.num_items) == (NUM_USERS + 2, NUM_ITEMS + 2)
    assert new.score(torch.arange(new.num_users)).isfinite().all()
    total, _ = new.loss(torch.tensor([[0, 61], [41, 3], [4, 40]]))
    assert total.isfinite()


def test_a_row_is_predicted_from_the_text(data, larger):
    """New nodes have the texts of the first nodes, and similar features."""
    model = small_model(data).eval()
    new = grow_model(model, larger, NONE)
    old = model._node_features()
    items = new._node_features()[NUM_USERS + 2 :]
    cosine = torch.cosine_similarity(items[NUM_ITEMS:, None], items[None], dim=-1)
    assert cosine[:, :NUM_ITEMS].argmax(dim=1).tolist() == [0, 1]
    assert torch.equal(items[:NUM_ITEMS], old[NUM_USERS:])


def test_rows_without_a_text_are_zeros(data, larger):
    bare = larger.clone()
    del bare['user'].profile, bare['item'].profile
    new = grow_model(small_model(data).eval(), bare, PAIRS)
    assert not new.backbone.item_embedding.weight[NUM_ITEMS:].any()


def test_new_nodes_get_the_clusters_of_their_prototypes(data, larger):
    new = grow_model(small_model(data).eval(), larger, PAIRS)
    user, item = new.get_embeddings()
    lean = new.backbone.item_prototypes.logits(item[NUM_ITEMS:]).argmax(dim=1)
    assert torch.equal(new.cluster[-2:], lean)
    lean = new.backbone.user_prototypes.logits(user[NUM_USERS:]).argmax(dim=1)
    assert torch.equal(new.cluster[NUM_USERS : NUM_USERS + 2], lean)


def test_the_graph_and_companions_get_the_new_interactions(data, larger):
    new = grow_model(small_model(data).eval(), larger, PAIRS)
    together = torch.cat([data[RATES].edge_index, PAIRS], dim=1)
    wanted = bipartite_edge_index(together, NUM_USERS + 2, NUM_ITEMS + 2)
    assert torch.equal(new.edge_index.as_tensor(), wanted.as_tensor())
    companion = new.companions[0]
    assert companion.interactions.size(1) == together.size(1)
    assert companion.item_text.size(0) == NUM_ITEMS + 2
    torch.testing.assert_close(companion.item_text[NUM_ITEMS], companion.item_text[0])


def test_counts_and_weights_of_the_ranking_loss_grow(data, larger):
    sizes = NUM_USERS, NUM_ITEMS
    train = data[RATES].edge_index
    popularity = torch.bincount(train[1], minlength=NUM_ITEMS).float()
    ranking = SoftmaxLoss(
        popularity=popularity,
        popularity_weight=0.1,
        num_samples=8,
        sample_weight=popularity + 1,
        known=UserItems(train, *sizes),
    )
    companions = [ItemKNN(*sizes, train, exponent=0.5), Popularity(*sizes, train)]
    model = Recommender(
        LightGCN(*sizes), graph(data), ranking=ranking, companions=companions
    )
    new = grow_model(model.eval(), larger, PAIRS).ranking
    together = torch.cat([train, PAIRS], dim=1)
    wanted = torch.bincount(together[1], minlength=NUM_ITEMS + 2).float()
    assert torch.equal(new.popularity, wanted)
    assert new.sample_weight[-1] == model.ranking.sample_weight.mean()
    assert new.known.num_items == NUM_ITEMS + 2
    assert new.known.item.numel() == together.size(1)


def test_intents_stay_behind_items(data, larger):
    nodes = IntentNodes(6)(data)
    wants, serves = (nodes[side, 'has', 'intent'] for side in ('user', 'item'))
    backbone = IntentNodeBackbone(
        LightGCN(NUM_USERS, NUM_ITEMS + 6),
        NUM_ITEMS,
        *(wants.edge_index, serves.edge_index),
        *(wants.edge_weight, serves.edge_weight),
    )
    model = Recommender(backbone, graph(data)).eval()
    torch.testing.assert_close(
        grow_model(model, data, NONE).score(USERS), model.score(USERS)
    )
    apart = torch.tensor([[NUM_USERS], [NUM_ITEMS]])  # It changes no other node.
    new = grow_model(model, larger, apart)
    torch.testing.assert_close(
        new.score(USERS)[:, :NUM_ITEMS], model.score(USERS), rtol=1e-4, atol=1e-6
    )


def test_own_parts_are_named(data, larger):
    backbone = ModuleBackbone(LGConv(), NUM_USERS, NUM_ITEMS, embedding_dim=32)
    model = Recommender(backbone, graph(data)).eval()
    with pytest.raises(ValueError, match=r'from this package.*ModuleBackbone'):
        grow_model(model, larger, PAIRS)


def test_own_edge_weights_are_named(data, larger):
    edges = graph(data)
    weight = torch.full((edges.size(1),), 0.5)
    model = Recommender(LightGCN(NUM_USERS, NUM_ITEMS), edges, weight).eval()
    with pytest.raises(ValueError, match="an 'edge_weight' of its own"):
        grow_model(model, larger, PAIRS)


def test_pairs_are_merged():
    one, other = torch.tensor([[1, 0], [0, 2]]), torch.tensor([[1, 0, 1], [0, 1, 0]])
    assert merge_pairs(one, other).tolist() == [[0, 0, 1], [1, 2, 0]]
    assert merge_pairs(one[:, :0], other[:, :0]).shape == (2, 0)
