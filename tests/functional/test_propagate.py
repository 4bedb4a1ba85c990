from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import LGConv

from pyg_irllrec.functional import propagate
from tests.adjacency import FORMATS, NUM_NODES, dense, edges


@pytest.mark.parametrize('impl', ['auto', 'eager'])
@pytest.mark.parametrize('name', FORMATS)
def test_every_format_and_its_gradient_equal_the_dense_matrix(name, impl):
    index, weight = edges()
    adj, edge_weight = FORMATS[name](index, weight)
    x = torch.randn(NUM_NODES, 4, dtype=torch.float64, requires_grad=True)
    out = propagate(x, adj, edge_weight, impl=impl)
    torch.testing.assert_close(out, dense(weight) @ x)
    upstream = torch.randn_like(out)
    (gradient,) = torch.autograd.grad(out, x, upstream)
    torch.testing.assert_close(gradient, dense(weight).t() @ upstream)


def test_equals_lg_conv():
    index, weight = edges()
    x = torch.randn(NUM_NODES, 4, dtype=torch.float64)
    torch.testing.assert_close(
        propagate(x, index, weight), LGConv(normalize=False)(x, index, weight)
    )


@pytest.mark.parametrize('name', ['edge_index', 'EdgeIndex_by_col'])
def test_weights_have_gradients(name):
    index, weight = edges()
    adj, weight = FORMATS[name](index, weight)
    x = torch.randn(NUM_NODES, 2, dtype=torch.float64, requires_grad=True)
    weight.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: propagate(x, adj, w), (x, weight))


@pytest.mark.parametrize('name', ['edge_index', 'EdgeIndex_by_col'])
def test_compiles_without_graph_breaks(name):
    index, weight = edges()
    adj, weight = FORMATS[name](index, weight)
    x = torch.randn(NUM_NODES, 4, dtype=torch.float64)
    compiled = torch.compile(propagate, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(x, adj, weight), propagate(x, adj, weight))


@pytest.mark.parametrize('name', ['edge_index', 'EdgeIndex_by_col'])
def test_half_precision_keeps_its_dtype(name):
    index, weight = edges()
    adj, weight = FORMATS[name](index, weight)
    x = torch.randn(NUM_NODES, 4).bfloat16()
    out = propagate(x, adj, weight)
    assert out.dtype == torch.bfloat16
    expected = propagate(x.double(), adj, weight)
    torch.testing.assert_close(out.double(), expected, rtol=1e-2, atol=1e-2)


def test_runs_in_inference_mode():
    index, weight = edges()
    adj, weight = FORMATS['EdgeIndex_by_col'](index, weight)
    x = torch.randn(NUM_NODES, 4, dtype=torch.float64)
    with torch.inference_mode():
        out = propagate(x, adj, weight)
    torch.testing.assert_close(out.clone(), dense(weight) @ x)


@pytest.mark.parametrize('impl', ['auto', 'eager'])
def test_no_nodes_give_no_rows(impl):
    x = torch.randn(0, 4, requires_grad=True)
    out = propagate(x, torch.empty(2, 0, dtype=torch.long), impl=impl)
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
            propagate(x, adj, impl=impl)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            {'x': torch.ones(NUM_NODES, 2).long()},
            "'x' must hold floating-point numbers",
        ),
        ({'x': torch.ones(NUM_NODES)}, r"'x' must be a matrix, got shape \(9,\)"),
        ({'x': [[1.0]]}, "'x' must be a tensor, got list"),
        ({'impl': 'fast'}, "'impl' must be one of 'auto', 'eager', .* got 'fast'"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {'x': torch.ones(NUM_NODES, 2), 'adj': edges()[0], **change}
    with pytest.raises(ValueError, match=message):
        propagate(**arguments)
