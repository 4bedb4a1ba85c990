from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import info_nce
from pyg_irllrec.nn import SGL
from pyg_irllrec.testing import BackboneTests, replay_draws
from pyg_irllrec.utils import symmetric_norm


class TestSGL(BackboneTests):
    augmentation = 'edge'

    def build(self, num_users, num_items, embedding_dim):
        return SGL(
            num_users,
            num_items,
            augmentation=self.augmentation,
            embedding_dim=embedding_dim,
            num_layers=2,
            num_intents=3,
        )


class TestSGLWithNodeDropout(TestSGL):
    augmentation = 'node'
    test_compile = None  # Covered by test_views_that_lack_nodes_compile.


class TestSGLWithRandomWalks(TestSGL):
    augmentation = 'walk'
    test_compile = None  # Covered by TestSGL, with fewer draws.


def build(**options) -> SGL:
    return SGL(6, 7, embedding_dim=4, num_layers=2, **options)


GRAPH = BackboneTests().edge_index
NUM_NODES = 13


def dense(weight: torch.Tensor) -> torch.Tensor:
    source, target = GRAPH.as_tensor()
    return torch.zeros(NUM_NODES, NUM_NODES).index_put((target, source), weight)


def propagated(model: SGL, *matrices: torch.Tensor) -> torch.Tensor:
    layers = [model.node_features()]
    for matrix in matrices:
        layers.append(matrix @ layers[-1])
    return sum(layers)


def test_views_lack_edges_but_scores_do_not():
    model = build(dropout=0.4)
    weight = symmetric_norm(GRAPH, NUM_NODES)
    draws = [torch.rand(GRAPH.size(1)) for _ in range(2)]
    with replay_draws(draws):
        output = model(GRAPH)
    whole = dense(weight)
    torch.testing.assert_close(output.embedding, propagated(model, whole, whole))
    for draw, view in zip(draws, output.views):
        kept = dense(weight * (draw >= 0.4))
        torch.testing.assert_close(view, propagated(model, kept, kept))


def test_views_lack_nodes():
    model = build(augmentation='node', dropout=0.4)
    whole = dense(symmetric_norm(GRAPH, NUM_NODES))
    draws = [torch.rand(NUM_NODES) for _ in range(2)]
    with replay_draws(draws):
        views = model(GRAPH).views
    for draw, view in zip(draws, views):
        keep = (draw >= 0.4).float()
        kept = keep[:, None] * whole * keep
        torch.testing.assert_close(view, propagated(model, kept, kept))


def test_views_that_lack_nodes_compile():
    model = build(augmentation='node')
    view = torch.compile(model.view, fullgraph=True, backend='eager')
    x, weight = model.node_features(), symmetric_norm(GRAPH, NUM_NODES)
    torch.manual_seed(0)
    found = view(x, GRAPH, weight)
    torch.manual_seed(0)
    torch.testing.assert_close(found, model.view(x, GRAPH, weight))


def test_random_walks_lack_other_edges_in_each_layer():
    model = build(augmentation='walk', dropout=0.4)
    weight = symmetric_norm(GRAPH, NUM_NODES)
    draws = [torch.rand(GRAPH.size(1)) for _ in range(4)]
    with replay_draws(draws):
        first, second = model(GRAPH).views
    kept = [dense(weight * (draw >= 0.4)) for draw in draws]
    torch.testing.assert_close(first, propagated(model, *kept[:2]))
    torch.testing.assert_close(second, propagated(model, *kept[2:]))


def test_no_views_in_evaluation():
    model = build().eval()
    output = model(GRAPH)
    assert output.views == ()
    assert model.auxiliary_loss(output, BackboneTests.triplets) == {}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'augmentation': 'word'}, "'augmentation' must be one of 'edge', 'node'"),
        ({'dropout': 1.0}, "'dropout' must be at least 0 and below 1, got 1.0"),
        ({'contrast_weight': -0.1}, "'contrast_weight' must be at least 0, got -0.1"),
        ({'temperature': 0}, "'temperature' must be at least 1e-30, got 0"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        build(**change)


def test_negatives_of_the_batch():
    model = build(negatives='batch', duplicates=True)
    output = model(GRAPH)
    triplets = torch.tensor([[0, 3], [2, 1], [4, 0]])
    terms = []
    for rows, shift in zip(triplets, (0, 6, 6)):
        first, second = (view[rows + shift] for view in output.views)
        terms.append(info_nce(first, second, temperature=0.2))
    loss = model.auxiliary_loss(output, triplets)['contrast']
    torch.testing.assert_close(loss, 0.1 * sum(terms))


def test_a_contrast_of_no_weight_costs_no_views():
    model = build(contrast_weight=0.0)
    with replay_draws([]):
        output = model(GRAPH)
    assert output.views == () and model.auxiliary_loss(output, GRAPH) == {}
