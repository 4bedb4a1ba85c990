"""Needs a CUDA device, or TRITON_INTERPRET=1 before Triton is imported."""

from __future__ import annotations

import os

import pytest
import torch
from torch import Tensor

from pyg_irllrec.functional import intent_propagate
from pyg_irllrec.functional._kernels import intent_propagate_triton as file
from pyg_irllrec.utils.adjacency import sort_by_target

INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'
DEVICE = 'cpu' if INTERPRETED else 'cuda'
if not INTERPRETED and not torch.cuda.is_available():
    pytest.skip('neither CUDA nor TRITON_INTERPRET=1', allow_module_level=True)
pytest.importorskip('triton')

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def rows(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype).to(DEVICE)


def random_graph(num_nodes: int, num_edges: int) -> Tensor:
    r"""A graph with two hubs, one of targets and one of sources, self-loops and
    repeated edges. The last node is isolated, the one before has only a self-loop."""
    generator = torch.Generator().manual_seed(num_edges)
    source, target = torch.randint(num_nodes - 2, (2, num_edges), generator=generator)
    target[: num_edges // 3] = 1
    target[num_edges // 3 : num_edges // 2] = 2
    source[num_edges // 3 : num_edges * 2 // 3] = 2
    source[-3:], target[-3:] = source[:3].clone(), target[:3].clone()
    source[:2], target[:2] = num_nodes - 2, num_nodes - 2
    return torch.stack([source, target]).to(DEVICE)


def outcome(
    impl: str,
    graph: Tensor,
    inputs: tuple[Tensor, ...],
) -> list[Tensor]:
    leaves = [value.clone().requires_grad_() for value in inputs]
    out = intent_propagate(*leaves[:2], graph, *leaves[2:], impl=impl)
    upstream = rows(*out.shape, seed=9, dtype=out.dtype)
    return [out.detach(), *torch.autograd.grad(out, leaves, upstream)]


def assert_same_as_eager(graph: Tensor, inputs: tuple[Tensor, ...]) -> None:
    actual, expected = (outcome(impl, graph, inputs) for impl in ('triton', 'eager'))
    # With one neighbour or one intent, all gradients of intents cancel.
    least = inputs[0].norm() * 0.1
    for value, wanted in zip(actual, expected, strict=True):
        assert value.dtype == wanted.dtype and value.shape == wanted.shape
        gap = (value - wanted).norm() / wanted.norm().clamp(min=least)
        assert gap <= TOLERANCE[value.dtype], float(gap)


KINDS = ['directed', 'undirected', 'weighted']


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(
    ('num_nodes', 'num_edges', 'dim', 'h_dim', 'split', 'dtype'),
    [
        (9, 41, 17, 5, 5, torch.float64),
        (7, 60, 64, 64, 8, torch.float32),
        (5, 50, 3, 130, 16, torch.float64),
        (6, 29, 512, 2, 512, torch.float32),
    ],
)
def test_equals_eager(
    num_nodes, num_edges, dim, h_dim, split, dtype, kind, monkeypatch
):
    monkeypatch.setattr(file, 'LEAST_SPLIT', split)
    graph = random_graph(num_nodes, num_edges)
    if kind == 'undirected':
        graph = torch.cat([graph, graph.flip(0)], dim=1)
    inputs = [rows(num_nodes, each, seed=each, dtype=dtype) for each in (dim, h_dim)]
    if kind == 'weighted':
        weight = rows(graph.size(1), seed=3, dtype=dtype).abs()
        weight[graph[1] == 0] = 0.0  # The sum of weights of a target is 0.
        inputs.append(weight)
    assert_same_as_eager(graph, tuple(inputs))


@pytest.mark.parametrize('tile', [(64, 1), (4096, 4)])
def test_any_tile_is_correct(tile, monkeypatch):
    monkeypatch.setattr(file, 'LEAST_SPLIT', 16)
    monkeypatch.setattr(file, 'TILES', dict.fromkeys(file.TILES, tile))
    assert_same_as_eager(random_graph(5, 40), (rows(5, 20, seed=0), rows(5, 6, seed=1)))


@pytest.mark.parametrize('sizes', [(8, 9, 7), (3, 17, 4), (16, 8, 0), (1, 7, 24)])
def test_rows_around_the_split_size(sizes, monkeypatch):
    monkeypatch.setattr(file, 'LEAST_SPLIT', 8)
    target = torch.arange(3).repeat_interleave(torch.tensor(sizes))
    source = torch.arange(target.numel()) % 4
    graph = torch.stack([source, target]).to(DEVICE)
    assert_same_as_eager(graph, (rows(5, 4, seed=0), rows(5, 3, seed=1)))


@pytest.mark.parametrize('kind', KINDS)
def test_nothing_is_read_out_of_bounds(kind, monkeypatch):
    if not INTERPRETED:
        pytest.skip('only the interpreter can be watched')
    from tests.functional._kernels.bounds import within_bounds

    monkeypatch.setattr(file, 'LEAST_SPLIT', 8)
    graph = random_graph(7, 60)
    if kind == 'undirected':
        graph = torch.cat([graph, graph.flip(0)], dim=1)
    weight = (rows(60, seed=3).abs(),) if kind == 'weighted' else ()
    with within_bounds():
        outcome('triton', graph, (rows(7, 17, seed=0), rows(7, 40, seed=1), *weight))


@pytest.mark.parametrize('kind', KINDS)
def test_a_graph_without_edges_gives_zeros(kind):
    x = rows(3, 4, seed=0)
    graph = torch.empty(2, 0, dtype=torch.long, device=DEVICE)
    weight = (x.new_empty(0),) if kind == 'weighted' else ()
    out, *grads = outcome('triton', graph, (x, x, *weight))
    assert (out == 0).all() and all((grad == 0).all() for grad in grads)


def test_no_nodes_give_no_rows():
    x = rows(0, 4, seed=0)
    graph = torch.empty(2, 0, dtype=torch.long, device=DEVICE)
    assert [len(value) for value in outcome('triton', graph, (x, x))] == [0] * 3


def test_opposite_intents_do_not_count():
    x = torch.tensor([[1e4], [-1e4]], device=DEVICE)
    graph = torch.tensor([[1], [0]], device=DEVICE)
    out, grad_x, grad_intent = outcome('triton', graph, (x, x))
    assert (out == 0).all() and (grad_x == 0).all() and (grad_intent == 0).all()


def test_every_run_gives_the_same_result(monkeypatch):
    monkeypatch.setattr(file, 'LEAST_SPLIT', 16)
    inputs = random_graph(9, 60), (rows(9, 17, seed=0), rows(9, 8, seed=1))
    first, second = (outcome('triton', *inputs) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize('kind', KINDS)
def test_operators_are_sound(kind):
    graph = random_graph(6, 12)
    if kind == 'undirected':
        graph = torch.cat([graph, graph.flip(0)], dim=1)
    index, _ = sort_by_target(graph, 6)
    weight = (rows(12, seed=3).abs(),) if kind == 'weighted' else ()
    compiled = torch.compile(intent_propagate, fullgraph=True, backend='aot_eager')
    inputs = rows(6, 4, seed=0).requires_grad_(), rows(6, 3, seed=1)
    expected = intent_propagate(*inputs, index, *weight, impl='triton')
    actual = compiled(*inputs, index, *weight, impl='triton')
    torch.testing.assert_close(actual, expected)
    grads = (torch.autograd.grad(out.sum(), inputs[0]) for out in (actual, expected))
    torch.testing.assert_close(*grads)


def test_rows_that_are_too_wide():
    x, graph = rows(3, 513, seed=0), torch.zeros(2, 1, dtype=torch.long, device=DEVICE)
    with pytest.raises(ValueError, match='needs rows of at most 512 values, got 513'):
        intent_propagate(x, x, graph, impl='triton')


def test_a_cpu_tensor_is_rejected(monkeypatch):
    monkeypatch.delenv('TRITON_INTERPRET', raising=False)
    x, graph = torch.ones(3, 4), torch.zeros(2, 1, dtype=torch.long)
    with pytest.raises(ValueError, match="impl='triton' needs a CUDA tensor"):
        intent_propagate(x, x, graph, impl='triton')
