from __future__ import annotations

import pytest
import torch
from torch_geometric import EdgeIndex

from pyg_irllrec.utils import bipartite_edge_index
from pyg_irllrec.utils.adjacency import csr, narrow_ids
from pyg_irllrec.utils.checked_csr import checked_csr


@pytest.fixture
def graph(interactions):
    return bipartite_edge_index(interactions, 5, 7)


@pytest.mark.parametrize('narrow', [True, False])
def test_are_the_cached_arrays_of_pyg(graph, narrow):
    graph = narrow_ids(graph) if narrow else graph
    for ours, right in zip(checked_csr(graph), csr(graph), strict=True):
        assert torch.equal(ours, right) and ours.dtype == right.dtype


def test_the_neighbours_of_a_node_may_have_any_order():
    index = torch.tensor([[2, 1, 0, 0], [0, 0, 1, 2]])
    graph = EdgeIndex(
        index, sparse_size=(3, 3), sort_order='col', is_undirected=True
    ).fill_cache_()
    for ours, right in zip(checked_csr(graph), csr(graph), strict=True):
        assert torch.equal(ours, right)
    index[0, 0] = 1  # Still sorted, but 0 has no edge to 2.
    with pytest.raises(ValueError, match='must not change after it was sorted'):
        checked_csr(graph)


def test_a_graph_without_edges():
    none = torch.empty(2, 0, dtype=torch.long)
    graph = EdgeIndex(none, sparse_size=(3, 3), sort_order='col').fill_cache_()
    assert checked_csr(graph).rowptr.tolist() == [0] * 4


@pytest.mark.parametrize('undirected', [True, False])
@pytest.mark.parametrize(
    ('row', 'place', 'value'), [(0, 0, 11), (1, -1, 0), (0, 3, 99)]
)
def test_changed_ids_are_rejected(graph, undirected, row, place, value):
    graph._is_undirected = undirected
    graph.as_tensor()[row, place] = value
    with pytest.raises(ValueError, match="'edge_index' must not change after it was"):
        checked_csr(graph)
