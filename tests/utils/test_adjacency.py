from __future__ import annotations

import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.transforms import SymmetricAdjacency
from pyg_irllrec.utils import bipartite_edge_index, symmetric_norm, to_edge_index
from tests.adjacency import FORMATS, NUM_NODES, dense, edges


@pytest.mark.parametrize('name', FORMATS)
def test_to_edge_index_reads_every_format(name):
    index, weight = edges()
    adj, edge_weight = to_edge_index(*FORMATS[name](index, weight))
    if hasattr(adj, 'validate'):
        adj.validate()
    out = torch.zeros(NUM_NODES, NUM_NODES, dtype=torch.float64)
    out.index_put_((adj[1], adj[0]), edge_weight, accumulate=True)
    torch.testing.assert_close(out, dense(weight))


def test_reading_does_not_change_the_matrix():
    index, weight = edges()
    coo, _ = FORMATS['torch_coo_repeated'](index, weight)
    to_edge_index(coo)
    assert not coo.is_coalesced()


@pytest.mark.parametrize('coalesced', [True, False])
def test_values_of_a_coo_matrix_keep_their_gradient(coalesced):
    index, weight = edges()
    leaf = weight.clone().requires_grad_()
    size = (NUM_NODES, NUM_NODES)
    adj = torch.sparse_coo_tensor(
        index.flip(0), leaf, size, is_coalesced=coalesced or None
    )
    out, value = to_edge_index(adj)
    (grad,) = torch.autograd.grad((value * out[0]).sum(), leaf)
    torch.testing.assert_close(grad, index[0].double())


def test_values_other_than_one_number_per_edge_are_rejected():
    index, weight = edges()
    for value in (weight.unsqueeze(1), weight.to(torch.complex64)):
        size = (NUM_NODES, NUM_NODES, *value.shape[1:])
        adj = torch.sparse_coo_tensor(index, value, size)
        with pytest.raises(ValueError, match='must be one real number per edge, got'):
            to_edge_index(adj)


def test_bipartite_edge_index(interactions):
    out = bipartite_edge_index(interactions, 5, 7)
    out.validate()
    assert out.is_undirected and out.is_sorted_by_col and out.sparse_size() == (12, 12)
    pairs = set(zip(*(row.tolist() for row in interactions), strict=True))
    expected = {(u, 5 + i) for u, i in pairs} | {(5 + i, u) for u, i in pairs}
    assert set(map(tuple, out.as_tensor().t().tolist())) == expected


def test_a_repeated_interaction_is_one_edge(interactions):
    repeated = torch.cat([interactions, interactions[:, :1].repeat(1, 9)], dim=1)
    out = bipartite_edge_index(repeated, 5, 7)
    assert torch.equal(
        out.as_tensor(), bipartite_edge_index(interactions, 5, 7).as_tensor()
    )
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 5, 7
    data['user', 'rates', 'item'].edge_index = repeated
    graph = SymmetricAdjacency()(data).edge_index
    assert torch.equal(out.as_tensor(), graph.as_tensor())


def test_weights_follow_the_edges_and_add_up_for_repeats():
    pairs = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0]])
    weight = torch.tensor([1.0, 2.0, 4.0, 8.0], requires_grad=True)
    graph, out = bipartite_edge_index(pairs, 2, 2, weight)
    graph.validate()
    found = dict(zip(map(tuple, graph.as_tensor().t().tolist()), out.tolist()))
    expected = {(1, 2): 9.0, (0, 3): 2.0, (0, 2): 4.0}
    assert found == expected | {(i, u): w for (u, i), w in expected.items()}
    (grad,) = torch.autograd.grad(out.sum(), weight)
    assert grad.tolist() == [2.0] * 4


def test_wrong_weights_are_rejected(interactions):
    for weight, message in (
        (torch.ones(8), r"'edge_weight' must have shape \(9,\)"),
        ([1.0] * 9, "'edge_weight' must be a tensor of real numbers, got list"),
        (torch.ones(9) * 1j, "'edge_weight' must be .* real .*, got torch.complex64"),
    ):
        with pytest.raises(ValueError, match=message):
            bipartite_edge_index(interactions, 5, 7, weight)


def test_ids_of_eight_bits_are_rejected(interactions):
    with pytest.raises(ValueError, match=r"'edge_index' must have dtype .*int64"):
        to_edge_index(interactions.to(torch.uint8))


def test_narrow_ids_do_not_overflow():
    pairs = torch.tensor([[69999, 0, 5], [59999, 1, 0]], dtype=torch.int32)
    bipartite_edge_index(pairs, 70000, 60000).validate()


def test_symmetric_norm(interactions):
    index = bipartite_edge_index(interactions, 5, 7).as_tensor()
    degree = torch.bincount(index[0], minlength=12).double()
    expected = 1 / (degree[index[0]] * degree[index[1]]).sqrt()
    torch.testing.assert_close(symmetric_norm(index, 12).double(), expected)


def test_symmetric_norm_of_a_directed_graph_counts_both_ends():
    index = torch.tensor([[0, 0, 0, 1], [1, 2, 3, 3]])
    expected = torch.tensor([3 * 1, 3 * 1, 3 * 2, 1 * 2]).rsqrt()
    torch.testing.assert_close(symmetric_norm(index, 4), expected)


@pytest.mark.parametrize(
    ('pairs', 'message'),
    [
        ([[5], [0]], r'\(users\).* must hold ids from 0 to 4, got ids from 5 to 5'),
        ([[0], [7]], r'\(items\).* must hold ids from 0 to 6, got ids from 7 to 7'),
        ([[-1], [0]], r'\(users\).* got ids from -1'),
        ([[], []], "'edge_index' must hold at least one"),
        ([[0], [0], [0]], r'must have shape \(2, num_edges\)'),
    ],
)
def test_wrong_interactions(pairs, message):
    with pytest.raises(ValueError, match=message):
        bipartite_edge_index(torch.tensor(pairs, dtype=torch.long), 5, 7)
