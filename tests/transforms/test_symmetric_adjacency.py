from __future__ import annotations

import copy

import pytest
import torch
import torch_geometric.transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data.datapipes.iter import IterableWrapper
from torch_geometric.data import Data
from torch_geometric.typing import WITH_TORCH_SPARSE

from pyg_irllrec.transforms.split_interactions import SplitInteractions
from pyg_irllrec.transforms.symmetric_adjacency import SymmetricAdjacency
from pyg_irllrec.utils import bipartite_edge_index, symmetric_norm
from pyg_irllrec.utils.adjacency import csr, sort_by_target
from tests.transforms.graphs import (
    NUM_ITEMS,
    NUM_USERS,
    PAIRS,
    RATES,
    assert_same,
    edges,
    hetero,
    undirected,
)

SIZE = NUM_USERS + NUM_ITEMS
LAYOUTS = [
    pytest.param(
        layout,
        marks=pytest.mark.skipif(
            layout == 'sparse_tensor' and not WITH_TORCH_SPARSE,
            reason='torch-sparse is not installed',
        ),
    )
    for layout in SymmetricAdjacency.layouts
]


def formula(adjacency, self_loops):
    adjacency = (adjacency > 0).double()
    if self_loops:
        adjacency = ((adjacency + torch.eye(len(adjacency))) > 0).double()
    degree = adjacency.sum(dim=1)
    scale = torch.where(degree > 0, degree.clamp(min=1).rsqrt(), 0.0)
    return scale[:, None] * adjacency * scale


def dense(data, layout):
    if layout != 'edge_index':
        assert 'edge_weight' not in data
        if layout != 'sparse_tensor':
            assert data.adj_t.layout is getattr(torch, f'sparse_{layout}')
            assert layout != 'coo' or data.adj_t.is_coalesced()
        return data.adj_t.to_dense().double()
    data.edge_index.validate()
    assert data.edge_index.is_undirected and data.edge_index.is_sorted_by_col
    source, target = data.edge_index.as_tensor()
    size = data.edge_index.get_sparse_size()
    out = torch.zeros(size, dtype=torch.float64)
    return out.index_put((target, source), data.edge_weight.double(), accumulate=True)


@pytest.mark.parametrize('layout', LAYOUTS)
@given(pairs=PAIRS, self_loops=st.booleans())
@settings(deadline=None, max_examples=30)
def test_equals_the_dense_formula(layout, pairs, self_loops):
    data = hetero(pairs)
    before = copy.deepcopy(data)
    out = SymmetricAdjacency(layout, self_loops)(data)
    adjacency = torch.zeros(SIZE, SIZE)
    for user, item in pairs:
        adjacency[user, NUM_USERS + item] = adjacency[NUM_USERS + item, user] = 1
    torch.testing.assert_close(
        dense(out, layout), formula(adjacency, self_loops), rtol=1e-6, atol=1e-6
    )
    assert_same(data, before)
    assert_same(out[RATES].to_dict(), before[RATES].to_dict())


@pytest.mark.parametrize('layout', LAYOUTS)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1),
    self_loops=st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_homogeneous_graphs(layout, pairs, self_loops):
    data = undirected(pairs, num_nodes=7)
    before = copy.deepcopy(data)
    out = SymmetricAdjacency(layout, self_loops)(data)
    adjacency = torch.zeros(7, 7)
    for a, b in pairs:
        adjacency[a, b] = adjacency[b, a] = 1
    torch.testing.assert_close(
        dense(out, layout), formula(adjacency, self_loops), rtol=1e-6, atol=1e-6
    )
    assert_same(data, before)
    if layout != 'edge_index':
        assert out.edge_index is data.edge_index


def test_is_the_graph_of_bipartite_edge_index():
    pairs = edges([(0, 1), (0, 3), (4, 3), (2, 0)])
    expected = bipartite_edge_index(pairs, NUM_USERS, NUM_ITEMS)
    data = hetero([])
    data[RATES].edge_index = torch.cat([pairs, pairs[:, :2]], dim=1)
    out = SymmetricAdjacency()(data)
    assert torch.equal(out.edge_index.as_tensor(), expected.as_tensor())
    assert torch.equal(out.edge_weight, symmetric_norm(expected, SIZE))
    for ours, theirs in zip(csr(out.edge_index), csr(expected), strict=True):
        assert torch.equal(ours, theirs)
    # So that no layer has to permute weights.
    assert sort_by_target(out.edge_index, SIZE)[1] is None


@pytest.mark.parametrize('dtype', [torch.int32, torch.long])
def test_held_out_interactions_do_not_enter(dtype):
    pairs = [(user, item) for user in range(NUM_USERS) for item in range(NUM_ITEMS)]
    transform = T.Compose(
        [SplitInteractions(), SymmetricAdjacency(), T.ToDevice('cpu')]
    )
    out = transform(hetero(pairs, dtype=dtype))
    trained = bipartite_edge_index(out[RATES].edge_index, NUM_USERS, NUM_ITEMS)
    assert torch.equal(out.edge_index.as_tensor(), trained.as_tensor())
    assert out.edge_index.size(1) < 2 * len(pairs)


def test_another_type_of_edges():
    data = hetero([(0, 0)])
    data['reader', 'buys', 'book'].edge_index = edges([(0, 1)])
    data['reader'].num_nodes, data['book'].num_nodes = 2, 3
    out = SymmetricAdjacency(edge_type=['reader', 'buys', 'book'])(data)
    assert out.edge_index.as_tensor().tolist() == [[3, 0], [0, 3]]


def test_edge_attributes_are_sorted_with_the_edges():
    data = Data(edge_index=edges([(2, 0), (0, 1), (1, 0), (0, 2), (0, 2)]), num_nodes=3)
    data.rating = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    data.x = torch.arange(3)
    out = SymmetricAdjacency()(data)
    assert out.edge_index.as_tensor().tolist() == [[1, 2, 0, 0], [0, 0, 1, 2]]
    assert out.rating.tolist() == [3, 1, 2, 4] and out.x is data.x
    with pytest.raises(
        ValueError, match=r"added loops have none, got 'rating': delete"
    ):
        SymmetricAdjacency(self_loops=True)(data)
    assert 'adj_t' in SymmetricAdjacency('coo', self_loops=True)(data)
    data.edge_index = edges([(0, 0), (1, 1), (2, 2), (0, 1), (1, 0)])
    assert SymmetricAdjacency(self_loops=True)(data).rating.tolist() == [1, 5, 4, 2, 3]


def test_after_to_undirected():
    directed = Data(edge_index=edges([(0, 1), (2, 1)]), num_nodes=4)
    out = T.Compose([T.ToUndirected(), SymmetricAdjacency('csr')])(directed)
    assert out.adj_t.to_dense()[1, 0].item() == pytest.approx(2**-0.5)
    with pytest.raises(
        ValueError,
        match=r'got 2 of 2 edges without their reverse \(first: \(0, 1\)\): apply',
    ):
        SymmetricAdjacency()(directed)


def test_functional_name():
    data = hetero([(0, 1), (2, 1)])
    (out,) = IterableWrapper([data]).irllrec_symmetric_adjacency(layout='csr')
    assert out.adj_t.shape == (SIZE, SIZE) and 'adj_t' not in data


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
@pytest.mark.parametrize('layout', LAYOUTS)
def test_cuda(layout):
    data = hetero([(0, 1), (2, 1), (3, 4)])
    out = SymmetricAdjacency(layout)(data.to('cuda')).to('cpu')
    expected = SymmetricAdjacency(layout)(data)
    torch.testing.assert_close(dense(out, layout), dense(expected, layout))


def test_errors():
    with pytest.raises(ValueError, match=r"'layout' must be one of .*, got 'dense'"):
        SymmetricAdjacency('dense')
    with pytest.raises(ValueError, match=r"'edge_type' must be .*, got \('a', 'b'\)"):
        SymmetricAdjacency(edge_type=('a', 'b'))
    with pytest.raises(ValueError, match=r"'edge_type' must be .* two node types"):
        SymmetricAdjacency(edge_type=('user', 'follows', 'user'))
    with pytest.raises(ValueError, match="'edge_index' must hold at least one edge"):
        SymmetricAdjacency()(hetero([]))
    with pytest.raises(ValueError, match=r'\(item\)\' must hold ids from 0 to 2, got'):
        SymmetricAdjacency()(hetero([(0, 3)], num_items=3))
    with pytest.raises(ValueError, match=r"must hold 'edge_index' of .*, got edges of"):
        SymmetricAdjacency(edge_type=('user', 'buys', 'item'))(hetero([(0, 0)]))
    with pytest.raises(ValueError, match="'data' must hold 'edge_index', got none"):
        SymmetricAdjacency()(Data(x=torch.zeros(2, 1)))
    weighted = undirected([(0, 1)], 2)
    weighted.edge_weight = torch.ones(2)
    with pytest.raises(ValueError, match="'edge_weight' must be absent, because"):
        SymmetricAdjacency()(weighted)
    with pytest.raises(
        ValueError, match='must hold ids from 0 to 1, got ids from 0 to'
    ):
        SymmetricAdjacency()(undirected([(0, 4)], 2))
    assert repr(SymmetricAdjacency('csr')) == "SymmetricAdjacency(layout='csr')"


@pytest.mark.skipif(WITH_TORCH_SPARSE, reason='torch-sparse is installed')
def test_torch_sparse_is_missing():
    with pytest.raises(ImportError, match=r"needs torch-sparse.*pip install 'pyg_irll"):
        SymmetricAdjacency('sparse_tensor')
