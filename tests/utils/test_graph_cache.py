from __future__ import annotations

import copy
import io
import threading
import weakref

import pytest
import torch
from torch_geometric import EdgeIndex

from pyg_irllrec.functional import intent_propagate, propagate
from pyg_irllrec.nn import IntentLGConv
from pyg_irllrec.utils import graph_cache
from pyg_irllrec.utils.adjacency import narrow_ids, sort_by_target
from pyg_irllrec.utils.graph_cache import NAME, prepare_graph
from tests.adjacency import FORMATS, NUM_NODES, dense, edges


def as_dense(graph, weight):
    source, target = graph.edge_index.as_tensor().long()
    out = torch.zeros(NUM_NODES, NUM_NODES, dtype=torch.float64)
    return out.index_put((target, source), weight, accumulate=True)


@pytest.fixture
def sorted_graphs(monkeypatch):
    """The graphs that were sorted, one entry each time."""
    seen, sort = [], graph_cache.sort_by_target

    def counted(edge_index, num_nodes):
        seen.append(edge_index)
        return sort(edge_index, num_nodes)

    monkeypatch.setattr(graph_cache, 'sort_by_target', counted)
    return seen


@pytest.mark.parametrize('name', FORMATS)
def test_every_format_is_sorted_once_for_all_that_read_it(name, sorted_graphs):
    index, weight = edges()
    adj, edge_weight = FORMATS[name](index, weight)
    x = torch.randn(NUM_NODES, 3, dtype=torch.float64)
    for _ in range(2):
        propagate(x, adj, edge_weight)
        intent_propagate(x, x, adj, edge_weight)
        IntentLGConv()(x, adj, edge_weight)
        graph, values = prepare_graph(adj, edge_weight, NUM_NODES)
        assert graph.edge_index.is_sorted_by_col
        assert graph.edge_index.dtype == torch.int32
        torch.testing.assert_close(as_dense(graph, values), dense(weight))
    assert len(sorted_graphs) == 1


def test_a_graph_that_is_ready_is_taken_as_it_is(sorted_graphs):
    index, weight = edges()
    ready = narrow_ids(sort_by_target(index, NUM_NODES)[0])
    graph, values = prepare_graph(ready, weight, NUM_NODES)
    assert graph.edge_index is ready and values is weight
    assert not sorted_graphs and NAME not in ready.__dict__
    with pytest.raises(ValueError, match="'edge_weight' must have shape"):
        prepare_graph(ready, weight[:-1], NUM_NODES)


def test_new_weights_on_an_old_graph(sorted_graphs):
    index, weight = edges()
    adj, shuffled = FORMATS['edge_index_shuffled'](index, weight)
    for factor in (1, 2):
        graph, values = prepare_graph(adj, factor * shuffled, NUM_NODES)
        torch.testing.assert_close(as_dense(graph, values), factor * dense(weight))
    assert prepare_graph(adj, None, NUM_NODES)[1] is None
    assert len(sorted_graphs) == 1
    with pytest.raises(ValueError, match="'edge_weight' must have shape"):
        prepare_graph(adj, weight[:-1], NUM_NODES)


def change_in_place(index):
    index[0, 0] = 4


def change_through_numpy(index):
    index.numpy()[0, 0] = 4


def change_its_data(index):
    index.data = torch.cat([index[:, :1] + torch.tensor([[4], [0]]), index[:, 1:]], 1)


@pytest.mark.parametrize('mode', [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    'change', [change_in_place, change_through_numpy, change_its_data]
)
def test_a_graph_that_was_changed_is_sorted_again(change, mode):
    x = torch.randn(NUM_NODES, 3, dtype=torch.float64)
    conv = IntentLGConv()
    with mode():
        index, weight = edges()
        before = [f(x, index, weight) for f in (conv, propagate)]
        change(index)
        after = [f(x, index, weight) for f in (conv, propagate)]
        expected = [f(x, index.clone(), weight) for f in (conv, propagate)]
    for old, new, right in zip(before, after, expected, strict=True):
        assert not torch.equal(old, new)
        torch.testing.assert_close(new, right)


@pytest.mark.parametrize('name', ['torch_csr', 'torch_csc', 'torch_coo'])
def test_a_matrix_that_was_changed_is_sorted_again(name):
    index, weight = edges()
    adj, _ = FORMATS[name](index, weight)
    adj = adj.coalesce() if name == 'torch_coo' else adj
    x = torch.randn(NUM_NODES, 3, dtype=torch.float64)
    propagate(x, adj)
    {
        'torch_csr': lambda: adj.col_indices()[:1],
        'torch_csc': lambda: adj.row_indices()[-1:],
        'torch_coo': lambda: adj._indices()[1, :1],
    }[name]().fill_(4)
    torch.testing.assert_close(propagate(x, adj), adj.to_dense() @ x)


def test_an_edge_index_that_was_changed_is_no_longer_believed():
    index, weight = edges()
    adj, weight = FORMATS['EdgeIndex_by_col'](index, weight)
    x = torch.randn(NUM_NODES, 3, dtype=torch.float64, requires_grad=True)
    propagate(x, adj, weight)
    plain = adj.as_tensor()
    plain.copy_(plain.flip(1))
    for _ in range(2):
        out, right = propagate(x, adj, weight), propagate(x, plain.clone(), weight)
        torch.testing.assert_close(out, right)
        grads = [torch.autograd.grad(y.square().sum(), x)[0] for y in (out, right)]
        torch.testing.assert_close(*grads)


def test_versions_stand_for_values_on_other_devices():
    index, _ = edges()

    class OnDevice(torch.Tensor):
        is_cpu = False

    value = index.as_subclass(OnDevice)
    seen = graph_cache._remember((value,))
    assert graph_cache._is_unchanged(seen, (value,))
    index[0, 0] = 4
    assert not graph_cache._is_unchanged(seen, (value,))
    with torch.inference_mode():
        assert graph_cache._remember((edges()[0].as_subclass(OnDevice),)) == ()


def test_four_threads_with_four_graphs():
    conv, x = IntentLGConv(), torch.randn(40, 4)
    graphs = [torch.randint(40, (2, 200)) for _ in range(4)]
    expected = [conv(x, graph.clone()) for graph in graphs]
    wrong = []

    def work(start):
        with torch.no_grad():
            for i in range(start, start + 100):
                if not torch.equal(conv(x, graphs[i % 4]), expected[i % 4]):
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize('name', ['edge_index', 'EdgeIndex', 'torch_csr'])
def test_an_adjacency_is_freed_copied_and_saved_without_its_graph(name):
    index, weight = edges()
    adj, edge_weight = FORMATS[name](index, weight)
    conv, x = IntentLGConv(), torch.randn(NUM_NODES, 3, dtype=torch.float64)
    expected = conv(x, adj, edge_weight)
    file = io.BytesIO()
    torch.save(adj, file)
    file.seek(0)
    others = [torch.load(file, weights_only=not isinstance(adj, EdgeIndex))]
    if name != 'torch_csr':  # Torch cannot copy it.
        others.append(copy.deepcopy(adj))
    for other in others:
        assert not isinstance(other.__dict__.get(NAME), graph_cache.CachedGraph)
        torch.testing.assert_close(conv(x, other, edge_weight), expected)
    alive = weakref.ref(adj)
    del adj, index
    assert alive() is None


def test_a_graph_first_seen_in_inference_mode_can_be_trained_on():
    index, weight = edges()
    conv, x = IntentLGConv(), torch.randn(NUM_NODES, 3, requires_grad=True)
    with torch.inference_mode():
        conv(x, index, weight)
    conv(x, index, weight).sum().backward()
    assert x.grad is not None


def test_a_graph_of_another_size_is_sorted_again():
    index, _ = edges()
    for num_nodes in (NUM_NODES, NUM_NODES + 1):
        graph, _ = prepare_graph(index, None, num_nodes)
        assert graph.edge_index.sparse_size() == (num_nodes, num_nodes)
    with pytest.raises(ValueError, match='must hold ids from 0 to 6, got ids from 0'):
        prepare_graph(index, None, 7)
    for name in ('torch_csr', 'EdgeIndex'):
        adj, _ = FORMATS[name](*edges())
        with pytest.raises(ValueError, match=r'\(10, 10\) .*, got \(9, 9\)'):
            prepare_graph(adj, None, 10)


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
