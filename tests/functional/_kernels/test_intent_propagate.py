from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric import EdgeIndex

from pyg_irllrec.functional import intent_propagate, propagate, unit_norm
from pyg_irllrec.functional._kernels import (
    intent_propagate_csr,
    intent_propagate_fused,
    intent_propagate_triton,
)
from pyg_irllrec.utils.adjacency import csr, narrow_ids, sort_by_target
from tests.functional._kernels.allocations import LargestTensor

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def draw(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def graph(num_nodes: int, num_edges: int, undirected: bool, seed: int = 0) -> EdgeIndex:
    """A sorted graph with self-loops, repeated edges and isolated nodes."""
    generator = torch.Generator().manual_seed(seed)
    edges = torch.randint(num_nodes, (2, num_edges), generator=generator)
    if undirected:
        edges = torch.cat([edges, edges.flip(0)], dim=1)
    out, _ = sort_by_target(edges, num_nodes)
    return out


def assert_same_as_eager(
    edge_index: EdgeIndex, x: Tensor, intent: Tensor, weight: Tensor | None
) -> None:
    outcome = {}
    for impl in ('eager', 'csr'):
        leaves = [
            value.clone().requires_grad_()
            for value in (x, intent, weight)
            if value is not None
        ]
        out = intent_propagate(*leaves[:2], edge_index, *leaves[2:], impl=impl)
        upstream = draw(*out.shape, seed=9, dtype=out.dtype)
        outcome[impl] = [out.detach(), *torch.autograd.grad(out, leaves, upstream)]
    # With one neighbour or one intent, all gradients of intents cancel.
    scale = x.norm().detach() * 0.1
    for value, expected in zip(outcome['csr'], outcome['eager'], strict=True):
        gap = (value - expected).norm() / expected.norm().clamp(min=scale + 1e-30)
        assert gap <= TOLERANCE[value.dtype], float(gap)


@given(
    num_nodes=st.integers(1, 23),
    num_edges=st.integers(0, 60),
    dim=st.integers(1, 257),
    intent_dim=st.integers(2, 19),
    undirected=st.booleans(),
    weighted=st.booleans(),
    narrow=st.booleans(),
    dtype=st.sampled_from(list(TOLERANCE)),
)
@settings(max_examples=80, deadline=None)
def test_sparse_products_equal_eager(
    num_nodes, num_edges, dim, intent_dim, undirected, weighted, narrow, dtype
):
    edge_index = graph(num_nodes, num_edges, undirected)
    if narrow:
        edge_index = narrow_ids(edge_index)
    weight = draw(edge_index.size(1), seed=3, dtype=dtype).abs() + 0.1
    assert_same_as_eager(
        edge_index,
        draw(num_nodes, dim, seed=1, dtype=dtype),
        # The sum for opposite intents is near zero, so its inverse magnifies rounding.
        draw(num_nodes, intent_dim, seed=2, dtype=dtype) + 3,
        weight if weighted else None,
    )


def test_a_symmetric_graph_is_recognised():
    assert graph(9, 20, undirected=True).is_undirected
    assert not graph(9, 20, undirected=False).is_undirected
    # Equally many edges in both directions, but not between the same nodes.
    edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
    assert not sort_by_target(edges, 3)[0].is_undirected


def test_both_backward_passes_agree():
    edge_index = graph(9, 30, undirected=True)
    x, h = draw(9, 4, seed=0), unit_norm(draw(9, 3, seed=1))
    saved = intent_propagate_csr.forward(x, h, *csr(edge_index)[:2], None)
    upstream = draw(9, 4, seed=2)
    general = intent_propagate_csr.backward(
        upstream, x, h, *saved, *csr(edge_index), None
    )
    symmetric = intent_propagate_csr.backward_symmetric(
        upstream, x, h, *saved, *csr(edge_index)[:2]
    )
    torch.testing.assert_close(symmetric, general)


@pytest.mark.parametrize('impl', ['csr'])
def test_gradcheck(impl):
    edge_index = graph(7, 12, undirected=False)
    inputs = draw(7, 3, seed=0), draw(7, 2, seed=1), draw(12, seed=2).abs()
    for value in inputs:
        value.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, h, w: intent_propagate(x, h, edge_index, w, impl=impl), inputs
    )


def test_only_eager_has_second_derivatives():
    edge_index = graph(7, 12, undirected=True)
    x, intent = draw(7, 3, seed=0).requires_grad_(), draw(7, 2, seed=1)
    for out in (
        intent_propagate(x, intent, edge_index),
        propagate(x, edge_index),
    ):
        with pytest.raises(RuntimeError, match='has first derivatives only'):
            torch.autograd.grad(out.sum(), x, create_graph=True)
    assert torch.autograd.gradgradcheck(
        lambda h: intent_propagate(draw(7, 3, seed=0), h, edge_index, impl='eager'),
        intent.requires_grad_(),
    )


@pytest.mark.parametrize('undirected', [True, False])
def test_no_tensor_of_edges_times_features_is_created(undirected):
    dim, num_nodes = 32, 100
    edge_index = graph(num_nodes, 4000, undirected)
    index = csr(edge_index)
    x = draw(num_nodes, dim, seed=0)
    h = unit_norm(draw(num_nodes, dim, seed=1))
    with LargestTensor() as largest:
        saved = intent_propagate_csr.forward(x, h, *index[:2], None)
        if undirected:
            intent_propagate_csr.backward_symmetric(x, x, h, *saved, *index[:2])
        else:
            intent_propagate_csr.backward(x, x, h, *saved, *index, None)
    # In units of four bytes: edges have float64 values.
    assert edge_index.size(1) * 2 <= largest.numel <= edge_index.size(1) * 2 + 4


@pytest.mark.usefixtures('fresh_compiler')
@pytest.mark.parametrize('weighted', [True, False])
@pytest.mark.parametrize('undirected', [True, False])
@pytest.mark.parametrize('function', ['intent_propagate', 'propagate'])
def test_a_sorted_graph_compiles_to_sparse_products(function, undirected, weighted):
    edge_index = graph(9, 20, undirected)
    x = draw(9, 4, seed=0).requires_grad_()
    intent = draw(9, 3, seed=1)
    weight = draw(edge_index.size(1), seed=2).abs() if weighted else None

    def run(x: Tensor) -> Tensor:
        if function == 'propagate':
            return propagate(x, edge_index, weight)
        return intent_propagate(x, intent, edge_index, weight)

    calls = []

    def backend(module: torch.fx.GraphModule, inputs: list[Tensor]) -> object:
        calls.extend(str(node.target) for node in module.graph.nodes)
        return module

    torch.testing.assert_close(
        torch.compile(run, fullgraph=True, backend=backend)(x), run(x)
    )
    assert any(f'pyg_irllrec.{function}' in name for name in calls)
    compiled = torch.compile(run, fullgraph=True, backend='aot_eager')
    upstream = draw(9, 4, seed=3)
    torch.testing.assert_close(
        torch.autograd.grad(compiled(x), x, upstream),
        torch.autograd.grad(run(x), x, upstream),
    )


@pytest.mark.parametrize('weighted', [True, False])
def test_autocast_changes_nothing_forward_and_backward(weighted):
    edge_index = graph(9, 20, undirected=True)
    x, intent = draw(2, 9, 4, seed=0, dtype=torch.float32)
    weight = draw(40, seed=1, dtype=torch.float32).abs() if weighted else None
    outcome = []
    for enabled in (False, True):
        leaves = x.clone().requires_grad_(), intent.clone().requires_grad_()
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
            out = intent_propagate(*leaves, edge_index, weight)
            out = out + propagate(leaves[0], edge_index, weight)
            grads = torch.autograd.grad(out.sum(), leaves)
        outcome.append((out, *grads))
    torch.testing.assert_close(*outcome)


def test_any_strides():
    edge_index = graph(9, 20, undirected=False)
    x, intent = draw(4, 9, seed=0).t(), draw(1, 3, seed=1).expand(9, 3)
    columns = draw(20, 3, seed=2).abs()
    for weight in (columns[:, 1], columns[0, 0].expand(20)):
        for function, inputs in (
            (intent_propagate, (x, intent)),
            (propagate, (x,)),
        ):
            dense = [value.contiguous() for value in inputs]
            torch.testing.assert_close(
                function(*inputs, edge_index, weight),
                function(*dense, edge_index, weight.contiguous()),
            )


def test_ids_out_of_range_are_rejected_before_memory_is_read():
    edges = torch.tensor([[0, 1], [1, 7]])
    for wrong in (edges, edges - 8):
        with pytest.raises(ValueError, match="'edge_index' must hold ids from 0 to 2"):
            intent_propagate(draw(3, 2, seed=0), draw(3, 2, seed=1), wrong)


@pytest.mark.parametrize('runs', [True, False])
@pytest.mark.parametrize(('dim', 'intent_dim'), [(512, 8), (8, 513)])
def test_auto_uses_fused_kernels_if_available(monkeypatch, runs, dim, intent_dim):
    def forward(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(intent_propagate_fused, 'can_run_triton', lambda _: runs)
    monkeypatch.setattr(intent_propagate_triton, 'forward', forward)
    inputs = torch.ones(3, dim), torch.ones(3, intent_dim), torch.tensor([[0], [1]])
    if runs and intent_dim <= 512:
        with pytest.raises(NotImplementedError):
            intent_propagate(*inputs)
    else:
        expected = intent_propagate(*inputs, impl='csr')
        torch.testing.assert_close(intent_propagate(*inputs), expected)
