from __future__ import annotations

import copy
import pickle

import pytest
import torch

from pyg_irllrec.nn import IntentLGConv
from pyg_irllrec.utils import graph_cache
from pyg_irllrec.utils.graph_cache import GraphCache
from tests.adjacency import FORMATS, NUM_NODES, dense, edges


def as_dense(graph, weight):
    source, target = graph.as_tensor().long()
    out = torch.zeros(NUM_NODES, NUM_NODES, dtype=torch.float64)
    return out.index_put((target, source), weight, accumulate=True)


@pytest.fixture
def sorted_graphs(monkeypatch):
    """The graphs that were sorted, one entry a time."""
    seen, sort = [], graph_cache.sort_by_target

    def counted(edge_index, num_nodes):
        seen.append(edge_index)
        return sort(edge_index, num_nodes)

    monkeypatch.setattr(graph_cache, 'sort_by_target', counted)
    return seen


@pytest.mark.parametrize('name', FORMATS)
def test_every_format_is_sorted_once(name, sorted_graphs):
    index, weight = edges()
    adj, edge_weight = FORMATS[name](index, weight)
    cache = GraphCache()
    for _ in range(3):
        graph, values = cache.sort(adj, edge_weight, NUM_NODES)
        assert graph.is_sorted_by_col and graph.dtype == torch.int32
        torch.testing.assert_close(as_dense(graph, values), dense(weight))
    assert len(sorted_graphs) == 1


def test_new_weights_on_an_old_graph(sorted_graphs):
    index, weight = edges()
    adj, shuffled = FORMATS['edge_index_shuffled'](index, weight)
    cache = GraphCache()
    for factor in (1, 2):
        graph, values = cache.sort(adj, factor * shuffled, NUM_NODES)
        torch.testing.assert_close(as_dense(graph, values), factor * dense(weight))
    assert cache.sort(adj, None, NUM_NODES)[1] is None
    assert len(sorted_graphs) == 1
    with pytest.raises(ValueError, match="'edge_weight' must have shape"):
        cache.sort(adj, weight[:-1], NUM_NODES)


def test_a_changed_graph_is_sorted_again(sorted_graphs):
    index, weight = edges()
    cache = GraphCache()
    cache.sort(index, weight, NUM_NODES)
    index[0, 0] = 4
    graph, values = cache.sort(index, weight, NUM_NODES)
    changed = as_dense(graph, values)
    assert changed[0, 4] == weight[0] and len(sorted_graphs) == 2
    cache.sort(index.clone(), weight, NUM_NODES)
    assert len(sorted_graphs) == 3


def test_it_holds_no_graph_that_the_caller_has_let_go():
    index, weight = edges()
    cache = GraphCache()
    cache.sort(index, weight, NUM_NODES)
    seen = cache._seen
    del index
    assert seen() is None


def test_a_graph_first_seen_in_inference_mode_can_be_trained_on():
    index, weight = edges()
    conv, x = IntentLGConv(), torch.randn(NUM_NODES, 3, requires_grad=True)
    with torch.inference_mode():
        conv(x, index, weight)
        conv(x, index.clone(), weight)  # Such a tensor does not count its changes.
    conv(x, index, weight)
    with torch.inference_mode():
        conv(x, index, weight)
    conv(x, index, weight).sum().backward()
    assert x.grad is not None


def test_layers_are_copied_and_saved_without_their_graph():
    index, weight = edges()
    conv, x = IntentLGConv(), torch.randn(NUM_NODES, 3)
    expected = conv(x, index, weight)
    for other in (copy.deepcopy(conv), pickle.loads(pickle.dumps(conv))):
        assert other._graph._graph is None
        torch.testing.assert_close(other(x, index, weight), expected)


def test_gradients_reach_the_values_of_a_matrix():
    index, weight = edges()
    x = torch.randn(NUM_NODES, 3, dtype=torch.float64)
    expected = None
    csr = FORMATS['torch_csr'](index, weight)[0]
    pointers = csr.crow_indices(), csr.col_indices()
    for name in ('edge_index', 'torch_csr'):
        leaf = weight.clone().requires_grad_()
        adj, edge_weight = index, leaf
        if name == 'torch_csr':
            adj = torch.sparse_csr_tensor(*pointers, leaf, (NUM_NODES, NUM_NODES))
            edge_weight = None
        conv = IntentLGConv()
        conv(x, adj, edge_weight)
        out = conv(x, adj, edge_weight).square().sum()
        (grad,) = torch.autograd.grad(out, leaf)
        expected = grad if expected is None else expected
        torch.testing.assert_close(grad, expected)
