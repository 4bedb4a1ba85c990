from __future__ import annotations

import copy
import pickle

import pytest
import torch

from pyg_irllrec.nn import (
    BIGCF,
    SGL,
    AlphaRec,
    IntentNodeBackbone,
    LightGCN,
    Recommender,
)
from pyg_irllrec.testing import BackboneTests
from pyg_irllrec.utils import bipartite_edge_index, symmetric_norm

EDGES = torch.tensor([[0, 0, 2, 4], [0, 1, 1, 0]])
USER_WEIGHT = torch.tensor([0.5, 0.5, 1.0, 2.0])
ITEM_EDGES = torch.tensor([[1, 3, 6], [1, 0, 0]])


def wrap(backbone, num_items=7, weight=0.7):
    return IntentNodeBackbone(
        backbone, num_items, EDGES, ITEM_EDGES, USER_WEIGHT, weight=weight
    )


class TestLightGCN(BackboneTests):
    def build(self, num_users, num_items, embedding_dim):
        return wrap(
            LightGCN(
                num_users,
                num_items + 2,
                embedding_dim,
                num_layers=2,
                num_intents=3,
            )
        )


class TestSGL(BackboneTests):
    test_compile = test_gradients = None  # Covered by TestLightGCN.

    def build(self, num_users, num_items, embedding_dim):
        return wrap(SGL(num_users, num_items + 2, embedding_dim, num_layers=2))


class TestBIGCF(BackboneTests):
    test_compile = test_gradients = None

    def build(self, num_users, num_items, embedding_dim):
        return wrap(
            BIGCF(num_users, num_items + 2, embedding_dim, num_layers=2, num_intents=3)
        )


class TestAlphaRec(BackboneTests):
    test_compile = test_gradients = None

    def build(self, num_users, num_items, embedding_dim):
        text = torch.randn(num_items + 2, 3, generator=torch.Generator().manual_seed(0))
        return wrap(
            AlphaRec(num_users, num_items + 2, text, self.interactions, embedding_dim)
        )


def lightgcn(num_items=9, **options):
    torch.manual_seed(0)
    return LightGCN(6, num_items, 4, **{'num_layers': 2, **options}).double()


@pytest.fixture
def graph():
    return bipartite_edge_index(BackboneTests.interactions, 6, 7)


@pytest.mark.parametrize('impl', ['auto', 'eager'])
def test_the_formula(graph, impl):
    backbone = lightgcn(impl=impl)
    model = wrap(backbone).double()
    matrix = torch.zeros(15, 15, dtype=torch.float64)
    weight = symmetric_norm(graph, 13).double()
    matrix[graph[1], graph[0]] = weight
    b = torch.zeros(13, 2, dtype=torch.float64)
    b[EDGES[0], EDGES[1]] = USER_WEIGHT.double()
    b[ITEM_EDGES[0] + 6, ITEM_EDGES[1]] = 1
    rows, columns = b.sum(1, keepdim=True).clamp(min=1e-9), b.sum(0, keepdim=True)
    b = 0.7 * b / (rows * columns).sqrt()
    matrix[:13, 13:], matrix[13:, :13] = b, b.t()
    x = backbone.node_features()
    expected = (x + matrix @ x + matrix @ matrix @ x)[:13]
    for _ in range(2):  # Sorted, then read from the cache.
        found = model.get_embedding(graph, weight)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(model(graph, weight).embedding, found)


def test_without_weight_it_is_the_backbone_without_intents(graph):
    backbone, plain = lightgcn(), lightgcn(7)
    with torch.no_grad():
        for side in ('user_embedding', 'item_embedding'):
            mine, its = getattr(plain, side).weight, getattr(backbone, side).weight
            mine.copy_(its[: len(mine)])
    found = wrap(backbone, weight=0.0).double().get_embedding(graph)
    torch.testing.assert_close(found, plain.get_embedding(graph))


def test_the_graph_is_sorted_once_and_again_when_it_changes(graph, monkeypatch):
    from pyg_irllrec.nn.backbones import intent_node_backbone as module

    calls, sort = [], module.sorted_graph
    monkeypatch.setattr(module, 'sorted_graph', lambda *a: calls.append(1) or sort(*a))
    model = Recommender(wrap(lightgcn()).double(), graph)
    with torch.inference_mode():
        model.get_embeddings()
    model.loss(BackboneTests.triplets).total.backward()
    assert len(calls) == 1
    edges = EDGES % 2, ITEM_EDGES % 2  # Different edges, the same number.
    other = IntentNodeBackbone(lightgcn(), 7, *edges).double()
    expected = other.get_embedding(graph.clone())
    found = other.get_embedding(model.edge_index)
    torch.testing.assert_close(found, expected)
    edges = BackboneTests.interactions.clone()
    edges[0] += 6
    both = torch.cat([edges.flip(0), edges], dim=1).sort().values
    before = other.get_embedding(both)
    both[0, 0] = 5
    assert not torch.allclose(other.get_embedding(both), before)


def test_copies_and_files_do_not_contain_the_cache(graph):
    model = Recommender(wrap(lightgcn()).double(), graph)
    expected = model.get_embeddings()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(other.get_embeddings(), expected)
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    assert len(set(names)) == len(list(model.parameters()))


def test_losses_are_those_of_the_backbone(graph):
    torch.manual_seed(0)
    terms = Recommender(wrap(SGL(6, 9, 4)), graph).loss(BackboneTests.triplets).terms
    assert terms['contrast'] > 0
    alpha_rec = AlphaRec(6, 9, torch.randn(9, 3), BackboneTests.interactions, 4)
    rows = torch.randn(3, 5, 4)
    loss = wrap(alpha_rec).ranking_loss(*rows)
    assert torch.equal(loss, alpha_rec.ranking_loss(*rows))
    assert loss != lightgcn().ranking_loss(*rows)


def test_hooks_run(graph):
    model = wrap(lightgcn()).double()
    model.register_forward_hook(
        lambda module, given, out: out._replace(embedding=out.embedding * 2)
    )
    twice = model.get_embedding(graph)
    torch.testing.assert_close(twice, 2 * wrap(lightgcn()).double()(graph).embedding)


def test_intents_connect_users_and_items_without_interactions(graph):
    model = Recommender(wrap(lightgcn(num_layers=3)).double(), graph)
    user, _ = model.get_embeddings()
    user[4].sum().backward()
    grad = model.backbone.backbone.item_embedding.weight.grad
    assert grad[
        6
    ].any()  # The item has no interactions, but shares an intent with user 4.
    assert not grad[2].eq(0).all()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'backbone' must be a Backbone, got Linear"):
        IntentNodeBackbone(torch.nn.Linear(1, 1), 7, EDGES, ITEM_EDGES)
    with pytest.raises(ValueError, match="must have more items than 'num_items', 9"):
        IntentNodeBackbone(lightgcn(), 9, EDGES, ITEM_EDGES)
    with pytest.raises(
        ValueError, match=r"'user_edges\[1\] \(intents\)' must hold ids"
    ):
        IntentNodeBackbone(lightgcn(), 8, EDGES, ITEM_EDGES)
    with pytest.raises(ValueError, match=r"'item_edges\[0\] \(items\)' must hold ids"):
        IntentNodeBackbone(lightgcn(), 7, EDGES, ITEM_EDGES + 4)
    with pytest.raises(
        ValueError, match=r"'user_weight' must have one .*\(4,\), got \(3"
    ):
        IntentNodeBackbone(lightgcn(), 7, EDGES, ITEM_EDGES, torch.ones(3))
    for bad in (0.0, -1.0, float('nan')):
        with pytest.raises(ValueError, match="'item_weight' must be above 0, got"):
            IntentNodeBackbone(
                lightgcn(), 7, EDGES, ITEM_EDGES, None, torch.tensor([1, bad, 1])
            )
    with pytest.raises(ValueError, match="'item_weight' must be finite"):
        IntentNodeBackbone(
            lightgcn(), 7, EDGES, ITEM_EDGES, None, torch.tensor([1, float('inf'), 1])
        )
