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
from pyg_irllrec.utils import bipartite_edge_index, graph_cache
from pyg_irllrec.utils.graph_cache import NAME, prepare_graph, sorted_graph
from tests.adjacency import FORMATS, NUM_NODES, dense, edges


def as_dense(graph, weight):
    source, target = graph.edge_index.as_tensor().long()
    out = torch.zeros(NUM_NODES, NUM_NODES, dtype=torch.float64)
    return out.index_put((target, source), weight, accumulate=True)


@pytest.fixture
def sorted_graphs(monkeypatch):
    """The graphs that were sorted, one entry per call."""
    seen, sort = [], graph_cache.sort_by_target

    def counted(edge_index, num_nodes):
        seen.append(edge_index)
        return sort(edge_index, num_nodes)

    monkeypatch.setattr(graph_cache, 'sort_by_target', counted)
    return seen


@pytest.mark.parametrize('name', FORMATS)
def test_every_format_is_sorted_once_for_all_readers(name, sorted_graphs):
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


def test_a_graph_of_this_package_is_used_directly(sorted_graphs):
    index, weight = edges()
    own, _ = sorted_graph(index, NUM_NODES)
    sorted_graphs.clear()
    graph, values = prepare_graph(own, weight, NUM_NODES)
    assert graph.edge_index is own and values is weight and not sorted_graphs
    for wrong in (weight[:-1], weight.tolist()):
        with pytest.raises(ValueError, match="'edge_weight' must"):
            prepare_graph(own, wrong, NUM_NODES)
    # Copies, as when a model moves to another device.
    for other in (own.clone(), own.long(), copy.deepcopy(own)):
        for _ in range(2):
            graph, values = prepare_graph(other, weight, NUM_NODES)
            torch.testing.assert_close(as_dense(graph, values), dense(weight))
    assert len(sorted_graphs) == 3


def test_an_adjacency_that_is_sorted_already_needs_no_order():
    index, weight = edges()
    for name in ('edge_index', 'EdgeIndex_by_col', 'torch_csr', 'torch_coo_repeated'):
        adj, edge_weight = FORMATS[name](index, weight)
        prepare_graph(adj, edge_weight, NUM_NODES)
        assert (getattr(adj, NAME).order is None) == (name != 'torch_coo_repeated')


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


def change_source(index):
    index[0, 0] = 7


def change_target(index):
    index.numpy()[1, 2] = 0


def reverse(index):
    index.copy_(index.flip(1))


@pytest.mark.parametrize('change', [change_source, change_target, reverse])
@pytest.mark.parametrize('narrow', [True, False])
@pytest.mark.parametrize('called_before', [True, False])
def test_a_changed_edge_index_is_not_trusted(change, narrow, called_before):
    pairs = torch.tensor([[0, 0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 0]])
    adj = bipartite_edge_index(pairs, 5, 5)
    adj = adj.int() if narrow else adj
    weight = torch.linspace(0.5, 2, adj.size(1), dtype=torch.float64)
    x = torch.randn(10, 3, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(10, 3, dtype=torch.float64)
    if called_before:
        propagate(x, adj, weight)
        intent_propagate(x, x, adj)
    change(adj.as_tensor())
    plain = adj.as_tensor().long()
    for _ in range(2):
        for out, right in (
            (propagate(x, adj, weight), propagate(x, plain, weight, impl='eager')),
            (intent_propagate(x, x, adj), intent_propagate(x, x, plain, impl='eager')),
        ):
            torch.testing.assert_close(out, right)
            torch.testing.assert_close(
                *(torch.autograd.grad(y, x, upstream)[0] for y in (out, right))
            )


@pytest.mark.usefixtures('fresh_compiler')
def test_a_compiled_call_rejects_a_changed_edge_index():
    pairs = torch.tensor([[0, 0, 1, 2], [0, 1, 2, 0]])
    x = torch.randn(6, 3, requires_grad=True)
    compiled = torch.compile(propagate, fullgraph=True, backend='aot_eager')
    for change in (change_target, reverse):
        adj = bipartite_edge_index(pairs, 3, 3)
        propagate(x, adj)
        torch.testing.assert_close(compiled(x, adj), propagate(x, adj))
        change(adj.as_tensor())
        with pytest.raises(ValueError, match='must not change after it was sorted'):
            compiled(x, adj)


@pytest.mark.usefixtures('fresh_compiler')
def test_a_compiled_call_checks_the_size():
    compiled = torch.compile(propagate, fullgraph=True, backend='aot_eager')
    adj = bipartite_edge_index(torch.tensor([[0, 1], [0, 1]]), 2, 2)
    with pytest.raises(Exception, match=r'\(5, 5\) .*, got \(4, 4\)'):
        compiled(torch.randn(5, 3), adj)


def test_a_matrix_that_is_marked_as_coalesced_later():
    index = torch.tensor([[1, 0, 1, 1], [1, 1, 0, 0]])
    adj = torch.sparse_coo_tensor(index, torch.tensor([1.0, 2.0, 4.0, 8.0]), (2, 2))
    x = torch.randn(2, 3)
    expected = adj.to_dense() @ x
    torch.testing.assert_close(propagate(x, adj), expected)
    adj._coalesced_(True)
    torch.testing.assert_close(propagate(x, adj), expected)


def test_repeated_edges_of_a_matrix_are_not_added_up_in_every_call(monkeypatch):
    adj, _ = FORMATS['torch_coo_repeated'](*edges())
    x = torch.randn(NUM_NODES, 3, dtype=torch.float64)
    expected = propagate(x, adj.coalesce())
    monkeypatch.setattr(torch.Tensor, 'coalesce', None)
    for _ in range(2):
        torch.testing.assert_close(propagate(x, adj), expected)


def test_versions_replace_values_on_other_devices():
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
    if name != 'torch_csr':  # torch cannot copy CSR matrices.
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


@pytest.mark.parametrize('name', ['torch_coo', 'torch_coo_repeated', 'torch_csr'])
def test_gradients_reach_the_values_of_a_matrix(name):
    index, weight = edges()
    x = torch.randn(NUM_NODES, 3, dtype=torch.float64)
    leaf = weight.clone().requires_grad_()
    expected = IntentLGConv()(x, index, leaf).square().sum()
    (gradient,) = torch.autograd.grad(expected, leaf)
    if name == 'torch_csr':
        csr = FORMATS['torch_csr'](index, weight)[0]
        pointers = csr.crow_indices(), csr.col_indices()
        adj = torch.sparse_csr_tensor(*pointers, leaf, (NUM_NODES, NUM_NODES))
    else:
        adj, _ = FORMATS[name](index, leaf)
    for conv in (IntentLGConv(), IntentLGConv(), IntentLGConv('eager')):
        out = conv(x, adj).square().sum()
        (grad,) = torch.autograd.grad(out, leaf, retain_graph=True)
        torch.testing.assert_close(grad, gradient)


def test_a_sorted_graph_is_used_directly_without_a_cache():
    """Like in a compiled call."""
    ready, _ = sorted_graph(edges()[0], NUM_NODES)

    def read(adj, num_nodes=NUM_NODES, impl='auto'):
        return graph_cache._uncached_graph(adj, None, num_nodes, impl, None)[0]

    assert read(ready).edge_index is ready and read(ready).csr is not None
    assert read(ready, impl='eager').csr is None
    plain = read(ready.as_tensor().long())
    assert plain.csr is None and not plain.is_undirected
    by_row = EdgeIndex(edges()[0], sparse_size=(NUM_NODES, NUM_NODES)).sort_by('row')
    assert read(by_row.values).csr is None
    index, weight = (value.flip(-1) for value in edges())
    made = graph_cache._uncached_graph(index, weight, NUM_NODES, 'csr', None)
    assert made[0].csr is not None
    torch.testing.assert_close(as_dense(*made), dense(edges()[1]))
