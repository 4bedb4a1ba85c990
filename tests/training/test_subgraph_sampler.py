from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.nn import (
    IntentAlignmentLoss,
    IRLLRec,
    LightGCN,
    Recommender,
    RLMRecGen,
    SoftmaxLoss,
)
from pyg_irllrec.training import SampledBatch, SubgraphSampler, sampled_loss
from pyg_irllrec.training.sampled_loss import _restrict
from pyg_irllrec.utils import UserItems, bipartite_edge_index

PAIRS = SyntheticIntents(24, 16, num_intents=2)[0]['user', 'rates', 'item'].edge_index
GRAPH = bipartite_edge_index(PAIRS, 24, 16)
TRIPLETS = torch.tensor([[5, 0, 5], [1, 15, 2], [0, 4, 5]])


def make_model(num_layers: int = 2, **options: object) -> Recommender:
    torch.manual_seed(0)
    backbone = LightGCN(24, 16, 4, num_layers=num_layers)
    return Recommender(backbone, GRAPH, **options).double()


def dense(model: Recommender) -> Tensor:
    out = torch.zeros(40, 40, dtype=torch.double)
    return out.index_put(tuple(model.edge_index.flip(0).long()), model.edge_weight)


def test_samples_edges_of_the_graph_from_the_seeds_outwards() -> None:
    model = make_model()
    sampler = SubgraphSampler(model, [2, 3])
    batch = sampler.sample(TRIPLETS, torch.Generator().manual_seed(0))
    # The seeds are the nodes of the batch, users first.
    seeds = len(batch.hops[0].rowptr) - 1
    assert batch.nodes[:seeds].tolist() == [0, 5, 24, 25, 26, 28, 29, 39]
    assert batch.num_users == 2
    assert batch.triplets.tolist() == [[1, 0, 1], [1, 5, 2], [0, 3, 4]]
    assert batch.nodes.unique().numel() == batch.nodes.numel()
    known, degree = dense(model), torch.bincount(GRAPH[1], minlength=40)
    reached = seeds
    for (rowptr, source, weight), most in zip(batch.hops, [2, 3]):
        count = rowptr.diff()
        target = batch.nodes[: len(count)].repeat_interleave(count)
        assert torch.equal(count, degree[batch.nodes[: len(count)]].clamp(max=most))
        share = degree[target] / degree[target].clamp(max=most)
        expected = known[target, batch.nodes[source]] * share
        assert (expected > 0).all()
        torch.testing.assert_close(weight, expected)
        reached = max(reached, int(source.max()) + 1)
    assert reached == len(batch.nodes)


def test_embeddings_and_gradients_are_unbiased() -> None:
    model = make_model(num_layers=3)
    sampler = SubgraphSampler(model, [2, 2, 2])
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(40, 4, generator=generator, dtype=torch.double)

    def look(model: Recommender, nodes: Tensor) -> Tensor:
        embedding = torch.cat(model.get_embeddings())
        table = model.backbone.user_embedding.weight
        (grad,) = torch.autograd.grad((embedding * probe[nodes]).sum(), table)
        return torch.cat([embedding.detach().flatten(), grad.flatten()])

    seeds = TRIPLETS[0].unique(), TRIPLETS[1:].unique() + 24
    nodes = torch.cat(seeds)
    draws = []
    for _ in range(150):
        batch = sampler.sample(TRIPLETS, generator)
        draws.append(look(_restrict(model, batch), nodes))
    drawn = torch.stack(draws)
    embedding = torch.cat(model.get_embeddings())[nodes]
    (grad,) = torch.autograd.grad(
        (embedding * probe[nodes]).sum(), model.backbone.user_embedding.weight
    )
    expected = torch.cat([embedding.detach().flatten(), grad.flatten()])
    error = (drawn.mean(dim=0) - expected).abs()
    spread = drawn.std(dim=0) / len(draws) ** 0.5
    assert (drawn.std(dim=0) > 0).sum() > 100
    assert (error <= 4.5 * spread + 1e-12).all()


def test_draws_follow_the_generator() -> None:
    model = make_model(ranking=SoftmaxLoss())
    sampler = SubgraphSampler(model, [2, 2], num_samples=3)

    def sample(seed: int) -> SampledBatch:
        return sampler.sample(TRIPLETS, torch.Generator().manual_seed(seed))

    one, same, other = sample(0), sample(0), sample(1)
    assert torch.equal(one.nodes, same.nodes)
    assert torch.equal(one.hops[1].source, same.hops[1].source)
    assert not torch.equal(one.hops[1].source, other.hops[1].source)
    assert one.drawn_items.unique().numel() == 3


def test_draws_each_node_equally_often() -> None:
    sampler = SubgraphSampler(make_model(), [2, 2], num_samples=2)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([sampler._draw(True, 10, generator) for _ in range(500)])
    count = torch.bincount(drawn, minlength=10)
    assert ((count - 100).abs() < 40).all()


@pytest.mark.parametrize(
    ('options', 'cause'),
    [
        ({'ranking': SoftmaxLoss(known=None)}, "does not have known='batch'"),
        ({'ranking': SoftmaxLoss(known=UserItems(PAIRS, 24, 16))}, 'does not have'),
        (
            {'ranking': SoftmaxLoss(num_samples=2, sample_weight=torch.ones(16))},
            "has a 'sample_weight'",
        ),
        ({'ranking': torch.nn.Bilinear(2, 2, 2)}, 'its ranking loss, Bilinear'),
    ],
)
def test_names_what_cannot_be_sampled(options: dict[str, object], cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        SubgraphSampler(make_model(**options), [2, 2])


def test_refuses_models_that_read_all_nodes() -> None:
    text, backbone = torch.randn(40, 3), LightGCN(24, 16, 4)
    with pytest.raises(ValueError, match='RLMRecGen reads all nodes'):
        SubgraphSampler(RLMRecGen(backbone, GRAPH, profile=text), [2, 2, 2])
    alignment = IntentAlignmentLoss(user_negatives='all')
    model = IRLLRec(backbone, GRAPH, profile=text, alignment=alignment)
    with pytest.raises(ValueError, match="alignment does not have negatives='batch'"):
        SubgraphSampler(model, [2, 2, 2])
    alignment = IntentAlignmentLoss()
    alignment.matching = torch.nn.Identity()
    model = IRLLRec(backbone, GRAPH, profile=text, alignment=alignment)
    with pytest.raises(ValueError, match='translation or matching loss is replaced'):
        SubgraphSampler(model, [2, 2, 2])


def test_refuses_bad_numbers() -> None:
    model = make_model()
    with pytest.raises(ValueError, match='one entry per layer of the backbone, 2, got'):
        SubgraphSampler(model, [2])
    for bad in ([2, 0], [2, -2], [2, 1.5], [True, 2]):
        with pytest.raises(ValueError, match="'num_neighbors'"):
            SubgraphSampler(model, bad)
    with pytest.raises(ValueError, match='got -2; -1 means all neighbours'):
        SubgraphSampler(model, [2, -2])
    assert SubgraphSampler(model, np.array([2, -1])).num_neighbors == [2, -1]
    with pytest.raises(ValueError, match="'num_samples' must be"):
        SubgraphSampler(model, [2, 2], num_samples=0)
    backbone, intent = LightGCN(24, 16, 4, num_intents=2), torch.randn(40, 3)
    with pytest.raises(ValueError, match="'num_samples' must be at least 2 for a tran"):
        SubgraphSampler(IRLLRec(backbone, GRAPH, intent=intent), [2, 2, 2], 1)
    with pytest.raises(ValueError, match="'triplets"):
        SubgraphSampler(model, [2, 2]).sample(TRIPLETS + 24)


def test_a_node_without_neighbors_keeps_its_own_embedding() -> None:
    edge_index = torch.tensor([[0, 2], [2, 0]])
    model = Recommender(LightGCN(2, 2, 4, num_layers=1), edge_index)
    sampler = SubgraphSampler(model, [1])
    batch = sampler.sample(torch.tensor([[1], [1], [1]]))
    assert batch.nodes.tolist() == [1, 3]
    expected = model.backbone.user_embedding.weight[1:]
    assert torch.equal(_restrict(model, batch).get_embeddings()[0], expected)
    assert sampled_loss(model, batch).total.isfinite()
