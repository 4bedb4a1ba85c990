from __future__ import annotations

import pytest
import torch

from pyg_irllrec.utils import symmetric_norm
from pyg_irllrec.utils.adjacency import csr
from pyg_irllrec.utils.normalised_graph import normalised_graph
from tests.adjacency import FORMATS, NUM_NODES, dense, edges


@pytest.mark.parametrize('name', FORMATS)
def test_every_format_is_sorted_with_its_weights(name):
    adj, edge_weight = FORMATS[name](*edges())
    graph, weight = normalised_graph(adj, edge_weight, 4, NUM_NODES - 4)
    assert graph.is_sorted_by_col and graph.dtype == torch.int32
    source, target = graph.as_tensor().long()
    out = torch.zeros(NUM_NODES, NUM_NODES, dtype=torch.float64)
    out.index_put_((target, source), weight, accumulate=True)
    torch.testing.assert_close(out, dense(edges()[1]))


def test_missing_weights_are_the_symmetric_normalisation(edge_index):
    shuffled = edge_index.as_tensor().flip(1)
    graph, weight = normalised_graph(shuffled, None, 5, 7)
    assert torch.equal(graph.as_tensor().long(), edge_index.as_tensor())
    torch.testing.assert_close(weight, symmetric_norm(edge_index, 12))


@pytest.mark.parametrize(
    ('pairs', 'message'),
    [
        ([[], []], "'edge_index' must hold at least one edge, got none"),
        ([[0, 12], [12, 0]], 'must hold ids from 0 to 11, got ids from 0 to 12'),
        (
            [[0, 1], [5, 6]],
            'both directions.* item to a user: .* bipartite_edge',
        ),
        (
            [[5, 6], [0, 1]],
            'both directions.* user to an item: .* bipartite_edge',
        ),
        ([[0, 1, 5], [5, 6, 5]], 'both directions.* item to a user'),
    ],
)
def test_wrong_graphs(pairs, message):
    with pytest.raises(ValueError, match=message):
        normalised_graph(torch.tensor(pairs, dtype=torch.long), None, 5, 7)


def test_edges_within_a_side_cause_a_warning():
    pairs = torch.tensor([[0, 1, 2, 2, 3, 4], [2, 3, 4, 0, 1, 2]])
    with pytest.warns(UserWarning, match='2 of 6 edges connect two users or two items'):
        normalised_graph(pairs, None, 2, 3)  # The graph has three users and two items.


def test_a_matrix_of_the_wrong_size_is_rejected():
    for size in (6, 20):
        adj = torch.eye(size).to_sparse_csr()
        with pytest.raises(ValueError, match=rf'\(12, 12\) .*, got \({size}, {size}\)'):
            normalised_graph(adj, None, 5, 7)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_rejected(edge_index, value):
    weight = torch.ones(edge_index.size(1))
    weight[3] = value
    with pytest.raises(ValueError, match=r'for 1 of 18 edges \(first: edge 3\)'):
        normalised_graph(edge_index, weight, 5, 7)
    coo = torch.sparse_coo_tensor(edge_index.as_tensor().flip(0), weight, (12, 12))
    with pytest.raises(ValueError, match="'edge_weight' must be finite"):
        normalised_graph(coo, None, 5, 7)


def test_a_model_does_not_share_the_edges_that_it_was_given(edge_index):
    mine = edge_index.int()
    graph, _ = normalised_graph(mine, None, 5, 7)
    before = graph.as_tensor().clone()
    mine.as_tensor().zero_()
    assert torch.equal(graph.as_tensor(), before)


def test_the_metadata_of_an_edge_index_is_not_trusted(edge_index):
    expected, _ = normalised_graph(edge_index, None, 5, 7)
    wrong = edge_index.clone()
    wrong.as_tensor().copy_(wrong.as_tensor().flip(1))  # Still marked as sorted.
    graph, _ = normalised_graph(wrong, None, 5, 7)
    for ours, right in zip(csr(graph), csr(expected), strict=True):
        assert torch.equal(ours, right)
