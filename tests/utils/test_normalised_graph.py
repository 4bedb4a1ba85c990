from __future__ import annotations

import pytest
import torch

from pyg_irllrec.utils import symmetric_norm
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
        ([[0, 1], [5, 6]], 'must hold both directions .* bipartite_edge_index'),
    ],
)
def test_wrong_graphs(pairs, message):
    with pytest.raises(ValueError, match=message):
        normalised_graph(torch.tensor(pairs, dtype=torch.long), None, 5, 7)
