from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pyg_irllrec.functional import intent_propagate, unit_norm
from tests.adjacency import FORMATS, NUM_NODES, dense, edges


@pytest.fixture
def x() -> Tensor:
    return torch.randn(NUM_NODES, 4, dtype=torch.float64)


@pytest.fixture
def intent() -> Tensor:
    return torch.randn(NUM_NODES, 3, dtype=torch.float64)


def by_dense_matrix(x: Tensor, intent: Tensor, weight: Tensor | None) -> Tensor:
    h = unit_norm(intent)
    alpha = (h @ h.t() + 1) / 2 * dense(weight)
    total = alpha.sum(dim=1, keepdim=True)
    return alpha @ x / total.where(total > 0, 1)


@pytest.mark.parametrize('name', FORMATS)
def test_every_format_equals_the_dense_matrix(name, x, intent):
    index, weight = edges()
    adj, edge_weight = FORMATS[name](index, weight)
    out = intent_propagate(x, intent, adj, edge_weight)
    torch.testing.assert_close(out, by_dense_matrix(x, intent, weight))


def test_without_weights_all_edges_have_weight_one(x, intent):
    index, _ = edges()
    out = intent_propagate(x, intent, index)
    torch.testing.assert_close(out, by_dense_matrix(x, intent, None))


def test_a_node_without_edges_gets_zeros(x, intent):
    index, _ = edges()
    assert (intent_propagate(x, intent, index)[8] == 0).all()


def test_a_graph_without_edges_gives_zeros_with_gradients(x, intent):
    x.requires_grad_()
    out = intent_propagate(x, intent, torch.empty(2, 0, dtype=torch.long))
    out.sum().backward()
    assert (out == 0).all() and (x.grad == 0).all()


def test_opposite_intents_do_not_count():
    x = torch.tensor([[1.0], [2.0], [4.0]])
    intent = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0]]) * 1e4
    index = torch.tensor([[1, 2], [0, 0]])
    out = intent_propagate(x, intent, index)
    torch.testing.assert_close(out[0], torch.tensor([4.0]))


@pytest.mark.parametrize('impl', ['eager', 'csr'])
@pytest.mark.parametrize('weighted', [False, True])
def test_opposite_intents_leave_a_mean_of_neighbours_or_zeros(impl, weighted):
    """By rounding, their attention is noise of either sign."""
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        x = torch.rand(6, 2, generator=generator)
        one = torch.randn(5, generator=generator)
        scale = torch.rand(6, 1, generator=generator) + 0.5
        scale[1:] *= -1
        index = torch.tensor([[1, 2, 3, 4, 5], [0] * 5])
        index = torch.cat([index, index.flip(0)], dim=1)
        intent = (one * scale).requires_grad_()
        weight = torch.ones(10) if weighted else None
        out = intent_propagate(x, intent, index, weight, impl=impl)
        assert out.min() >= 0 and out.max() <= 1
        out.sum().backward()
        assert intent.grad.isfinite().all()


def test_repeated_edges_count_twice(x, intent):
    index, weight = edges()
    out = intent_propagate(x, intent, index.repeat(1, 2), weight.repeat(2))
    torch.testing.assert_close(out, intent_propagate(x, intent, index, weight))
    more = torch.cat([index, index[:, :1]], dim=1)
    heavy = weight.clone()
    heavy[0] *= 2
    torch.testing.assert_close(
        intent_propagate(x, intent, more, torch.cat([weight, weight[:1]])),
        intent_propagate(x, intent, index, heavy),
    )


@pytest.mark.parametrize('impl', ['eager', 'csr'])
def test_edge_weights_whose_sum_overflows(x, intent, impl):
    index, weight = edges()
    given = x.float(), intent.float(), index
    out = intent_propagate(*given, weight.float() * 1e38, impl=impl)
    torch.testing.assert_close(out, intent_propagate(*given, weight.float(), impl=impl))
    zeros = intent_propagate(*given, torch.zeros_like(weight), impl=impl)
    assert torch.equal(zeros, torch.zeros_like(zeros))


def test_gradients(x, intent):
    index, weight = edges()
    inputs = [value.requires_grad_() for value in (x, intent, weight)]
    assert torch.autograd.gradcheck(
        lambda x, h, w: intent_propagate(x, h, index, w), inputs
    )


def test_keeps_the_dtype_of_x(x, intent):
    index, weight = edges()
    for dtype in (torch.float32, torch.bfloat16):
        out = intent_propagate(x.to(dtype), intent, index, weight)
        assert out.dtype == dtype


def test_a_mean_over_many_edges_in_bfloat16_is_a_mean():
    x = torch.cat([torch.zeros(1001, 1), torch.ones(1000, 1)]).bfloat16()
    index = torch.stack([torch.arange(1, 2001), torch.zeros(2000, dtype=torch.long)])
    out = intent_propagate(x, torch.ones(2001, 2).bfloat16(), index)
    assert out[0].item() == 0.5


def test_compiles_without_graph_breaks(x, intent):
    index, weight = edges()
    compiled = torch.compile(intent_propagate, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(
        compiled(x, intent, index, weight), intent_propagate(x, intent, index, weight)
    )


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'x': torch.randn(4)}, "'x' must be a matrix"),
        ({'intent': torch.randn(4, 2)}, "'intent' must have one row per node, 9, got"),
        (
            {'adj': [[0], [1]]},
            "'edge_index' must be a tensor or a SparseTensor, got list",
        ),
        ({'adj': torch.zeros(3, 2).long()}, r'must have shape \(2, num_edges\)'),
        ({'adj': torch.zeros(2, 2)}, "'edge_index' must hold integers"),
        ({'edge_weight': torch.ones(3)}, "'edge_weight' must have shape"),
        ({'impl': 'fast'}, "'impl' must be one of"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {
        'x': torch.randn(9, 4),
        'intent': torch.randn(9, 3),
        'adj': edges()[0],
        **change,
    }
    with pytest.raises(ValueError, match=message):
        intent_propagate(**arguments)


def test_weights_with_a_sparse_matrix_are_rejected(x, intent):
    index, weight = edges()
    adj, _ = FORMATS['torch_csr'](index, weight)
    with pytest.raises(ValueError, match="'edge_weight' must be None with a sparse"):
        intent_propagate(x, intent, adj, weight)


@pytest.mark.parametrize('impl', ['auto', 'eager'])
def test_no_nodes_give_no_rows(impl):
    x = torch.randn(0, 4, requires_grad=True)
    out = intent_propagate(x, x, torch.empty(2, 0, dtype=torch.long), impl=impl)
    out.sum().backward()
    assert out.shape == x.grad.shape == (0, 4)


@pytest.mark.parametrize('impl', ['auto', 'eager'])
def test_ids_and_sizes_are_checked(impl):
    x = torch.randn(3, 4)
    for adj, message in (
        ([[0, -1], [1, 2]], "'edge_index' must hold ids from 0 to 2, got .* from -1"),
        ([[0, 99], [1, 2]], "'edge_index' must hold ids from 0 to 2, got .* to 99"),
        (torch.eye(5).to_sparse_csr(), r'\(3, 3\) .*, got \(5, 5\)'),
    ):
        adj = torch.tensor(adj) if isinstance(adj, list) else adj
        with pytest.raises(ValueError, match=message):
            intent_propagate(x, x, adj, impl=impl)
