from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.nn import (
    SGL,
    DirectAULoss,
    IntentAlignmentLoss,
    IRLLRec,
    LightGCN,
    LossOutput,
    Recommender,
    SoftmaxLoss,
)
from pyg_irllrec.training import SubgraphSampler, sampled_loss
from pyg_irllrec.training.sampled_loss import _restrict
from pyg_irllrec.utils import bipartite_edge_index

PAIRS = SyntheticIntents(24, 16, num_intents=2)[0]['user', 'rates', 'item'].edge_index
GRAPH = bipartite_edge_index(PAIRS, 24, 16)
TRIPLETS = torch.tensor([[0, 3, 3, 20], [1, 15, 2, 1], [0, 4, 5, 7]])


def texts(seed: int, width: int = 6) -> Tensor:
    return torch.randn(
        40, width, generator=torch.Generator().manual_seed(seed)
    ).double()


def bpr() -> Recommender:
    return Recommender(LightGCN(24, 16, 8, num_layers=3), GRAPH)


def softmax() -> Recommender:
    ranking = SoftmaxLoss(popularity_weight=0.1, popularity=torch.arange(16.0))
    backbone = LightGCN(24, 16, 8, num_layers=2)
    return Recommender(backbone, GRAPH, ranking=ranking, normalize=True)


def irllrec(**loss: Any) -> IRLLRec:
    return IRLLRec(
        LightGCN(24, 16, 8, num_layers=2, num_intents=3),
        GRAPH,
        profile=texts(0),
        intent=texts(1),
        features=texts(2),
        alignment=IntentAlignmentLoss(noise=0, **loss),
        ranking=DirectAULoss(),
        prototype_weight=0.1,
        l2_teacher=True,
    )


def host() -> IRLLRec:
    backbone = LightGCN(24, 16, 8, num_layers=2)
    return IRLLRec(backbone, GRAPH, profile=texts(0), text_storage='host')


MODELS = {
    'bpr': bpr,
    'softmax': softmax,
    'irllrec': irllrec,
    'eps': lambda: irllrec(eps=1e-2, duplicates=True),
    'moments': lambda: irllrec(translation_impl='moments'),
    'host': host,
}


def gradients(model: Recommender, loss: LossOutput) -> dict[str, Tensor]:
    names, weights = zip(*model.named_parameters())
    grads = torch.autograd.grad(loss.total, weights, allow_unused=True)
    return {name: grad for name, grad in zip(names, grads) if grad is not None}


@pytest.mark.parametrize('name', MODELS)
def test_equals_the_full_loss_with_all_neighbors_and_nodes(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]().double()
    num_layers = model.backbone.num_layers
    sampler = SubgraphSampler(model, [-1] * num_layers, num_samples=40)
    full = model.loss(TRIPLETS, update_teacher=False)
    sampled = sampled_loss(model, sampler.sample(TRIPLETS), update_teacher=False)
    assert full.terms.keys() == sampled.terms.keys()
    for term, value in full.terms.items():
        torch.testing.assert_close(sampled.terms[term], value, rtol=1e-9, atol=1e-12)
    expected = gradients(model, full)
    torch.testing.assert_close(
        gradients(model, sampled), expected, rtol=1e-7, atol=1e-9
    )
    # The model itself is not changed.
    assert model.num_users == model.backbone.num_users == 24


def drawn_terms(
    model: Recommender, triplets: Tensor, field: str, size: int
) -> dict[str, Tensor]:
    """Return the mean of each term over all sets of this many drawn nodes or items."""
    batch = SubgraphSampler(model, [-1, -1], num_samples=40).sample(triplets)
    every = getattr(batch, field)
    losses = []
    for chosen in itertools.combinations(every.tolist(), size):
        part = batch._replace(**{field: torch.tensor(chosen)})
        losses.append(sampled_loss(model, part, update_teacher=False).terms)
    return {name: torch.stack([x[name] for x in losses]).mean() for name in losses[0]}


def tiny(**options: Any) -> Recommender:
    torch.manual_seed(0)
    interactions = torch.tensor([[0, 0, 1, 2], [0, 1, 1, 2]])
    model = IRLLRec(
        LightGCN(3, 4, 8, num_layers=2, num_intents=2),
        bipartite_edge_index(interactions, 3, 4),
        intent=torch.randn(7, 6),
        alignment=IntentAlignmentLoss(noise=0),
        prototype_weight=0.1,
        **options,
    )
    assert model.intent_projector is not None
    for value in model.intent_projector.teacher.buffers():
        value.normal_()
    return model.double()


@torch.no_grad()
def test_estimates_from_drawn_nodes_approach_the_full_loss() -> None:
    triplets = torch.tensor([[0], [1], [2]])
    model = tiny()
    full = model.loss(triplets, update_teacher=False).terms
    means = {size: drawn_terms(model, triplets, 'drawn_nodes', size) for size in (3, 6)}
    for mean in means.values():  # Means over rows are unbiased.
        torch.testing.assert_close(mean['matching'], full['matching'])
        torch.testing.assert_close(mean['prototype'], full['prototype'])
    # The logarithm of a sum is too low, but less so with more drawn nodes.
    gaps = [float(full['translation'] - means[size]['translation']) for size in (3, 6)]
    assert gaps[0] > 3 * gaps[1] > 0


def test_low_temperatures_leave_gradients_finite() -> None:
    model = irllrec()
    model.alignment.translation.temperature = 1e-3  # exp(1 / temperature) overflows.
    full = model.loss(TRIPLETS, update_teacher=False).terms['translation']
    every = sampled_loss(
        model,
        SubgraphSampler(model, [-1, -1], 40).sample(TRIPLETS),
        update_teacher=False,
    )
    torch.testing.assert_close(every.terms['translation'], full)
    some = sampled_loss(model, SubgraphSampler(model, [-1, -1], 20).sample(TRIPLETS))
    assert all(each.isfinite().all() for each in gradients(model, some).values())


def test_refuses_a_batch_of_another_model() -> None:
    batch = SubgraphSampler(bpr(), [2, 2, 2]).sample(TRIPLETS)
    backbone = LightGCN(2, 2, 8, num_layers=3)
    small = Recommender(backbone, bipartite_edge_index(torch.tensor([[0], [1]]), 2, 2))
    for other in (softmax(), irllrec(), small):
        with pytest.raises(ValueError, match="'batch' must be sampled for 'model'"):
            sampled_loss(other, batch)
    sgl = Recommender(SGL(24, 16, 8, num_layers=3), GRAPH)
    with pytest.raises(ValueError, match='its backbone, SGL, is not a plain LightGCN'):
        sampled_loss(sgl, batch)


@torch.no_grad()
def test_estimates_from_drawn_items_approach_the_full_loss() -> None:
    triplets = torch.tensor([[1], [1], [2]])
    model = tiny(ranking=SoftmaxLoss(temperature=1.0))
    full = model.loss(triplets, update_teacher=False).terms
    gaps = []
    for size in (2, 3, 4):
        mean = drawn_terms(model, triplets, 'drawn_items', size)
        gaps.append(float(full['ranking'] - mean['ranking']))
    assert gaps[0] > gaps[1] > 0
    assert gaps[2] == pytest.approx(0, abs=1e-12)


def test_trains_every_part_on_the_weights_of_the_model() -> None:
    torch.manual_seed(0)
    model = irllrec().double()
    assert model.intent_projector is not None
    teacher = [each.clone() for each in model.intent_projector.teacher.buffers()]
    optimizer = torch.optim.Adam([x for x in model.parameters() if x.requires_grad])
    sampler = SubgraphSampler(model, [2, 2], num_samples=8)
    before = [each.detach().clone() for each in model.parameters()]
    for _ in range(2):
        optimizer.zero_grad()
        sampled_loss(model, sampler.sample(TRIPLETS)).total.backward()
        optimizer.step()
    assert not any(map(torch.equal, before, model.parameters()))
    moved = model.intent_projector.teacher.buffers()
    assert not all(map(torch.equal, teacher, moved))


def test_reads_no_more_texts_than_those_of_the_seeds() -> None:
    model = irllrec()
    part = _restrict(model, SubgraphSampler(model, [2, 2], 4).sample(TRIPLETS))
    assert isinstance(part, IRLLRec)
    assert part.profile is not None and part.features is not None
    assert part.profile.size(0) == part.num_users + part.num_items < 40


@pytest.mark.parametrize('dtype', [torch.float, torch.bfloat16])
def test_edges_are_dropped_only_in_training(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    backbone = LightGCN(24, 16, 8, num_layers=1, edge_dropout=0.5)
    model = Recommender(backbone, GRAPH).to(dtype)
    batch = SubgraphSampler(model, [-1]).sample(TRIPLETS)
    trained = sampled_loss(model, batch).total
    assert trained != sampled_loss(model, batch).total
    model.eval()
    assert sampled_loss(model, batch).total == sampled_loss(model, batch).total
