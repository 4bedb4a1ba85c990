from __future__ import annotations

import copy

import pytest
import torch
import torch_geometric.transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data.datapipes.iter import IterableWrapper
from torch_geometric import EdgeIndex
from torch_geometric.data import Data

from pyg_irllrec.transforms.drop_edges import DropEdges
from pyg_irllrec.transforms.split_interactions import SplitInteractions
from pyg_irllrec.transforms.symmetric_adjacency import SymmetricAdjacency
from tests.transforms.graphs import (
    PAIRS,
    RATES,
    assert_same,
    check_rows,
    edges,
    hetero,
    pairs_of,
    undirected,
)


@given(pairs=PAIRS, p=st.floats(0, 0.9), seed=st.integers(0, 99))
@settings(deadline=None)
def test_keeps_some_edges_with_their_attributes(pairs, p, seed):
    data = hetero(pairs, dtype=torch.int32)
    data[RATES].val_edge_label_index = torch.zeros(2, len(pairs)).long()
    before = copy.deepcopy(data)
    out = DropEdges(p, torch.Generator().manual_seed(seed))(data)
    assert_same(data, before)
    check_rows(out)
    rates = out[RATES]
    drawn = torch.rand(len(pairs), generator=torch.Generator().manual_seed(seed)) >= p
    assert rates.number.tolist() == drawn.nonzero().flatten().tolist()
    assert pairs_of(rates.edge_index) == [pairs[k] for k in rates.number.tolist()]
    assert rates.edge_index.dtype == torch.int32
    assert rates.val_edge_label_index is data[RATES].val_edge_label_index
    assert out['user'].num_nodes == data['user'].num_nodes


@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_both_directions_are_dropped_together(pairs, seed):
    data = undirected(pairs, num_nodes=6)
    data.rating = torch.arange(2 * len(pairs))
    order = torch.randperm(
        data.num_edges, generator=torch.Generator().manual_seed(seed)
    )
    data.edge_index, data.rating = data.edge_index[:, order], data.rating[order]
    before = copy.deepcopy(data)
    out = DropEdges(0.5, torch.Generator().manual_seed(seed))(data)
    assert_same(data, before)
    assert out.num_nodes == 6
    both = [edge for a, b in pairs for edge in ((a, b), (b, a))]
    assert pairs_of(out.edge_index) == [both[k] for k in out.rating.tolist()]
    left = {frozenset(pair) for pair in pairs_of(out.edge_index)}
    expected = [frozenset(pair) in left for pair in pairs_of(data.edge_index)]
    assert data.rating[torch.tensor(expected)].tolist() == out.rating.tolist()


def test_shares():
    pairs = edges([(k, 100_000 + k) for k in range(50_000)])
    generator = torch.Generator().manual_seed(0)
    directed = DropEdges(0.3, generator)(Data(edge_index=pairs, num_nodes=200_000))
    assert directed.num_edges / 50_000 == pytest.approx(0.7, abs=0.01)
    both = torch.cat([pairs, pairs.flip(0)], dim=1)
    out = DropEdges(0.3, generator)(Data(edge_index=both, num_nodes=200_000))
    assert out.num_edges / 100_000 == pytest.approx(0.7, abs=0.01)
    assert out.is_undirected()


def test_a_directed_graph_may_lose_one_direction():
    edge_index = edges([(0, 1), (1, 0), (0, 2)])
    transform = DropEdges(0.5, torch.Generator().manual_seed(0))
    left = {
        len({(0, 1), (1, 0)} & set(pairs_of(out.edge_index)))
        for out in (
            transform(Data(edge_index=edge_index, num_nodes=3)) for _ in range(30)
        )
    }
    assert left == {0, 1, 2}


def test_as_many_nodes_as_edges():
    data = Data(edge_index=edges([(0, 1), (1, 2), (0, 3), (3, 2)]), num_nodes=4)
    data.rating, data.edge_attr, data.x = (torch.arange(4.0) for _ in range(3))
    out = DropEdges(0.5, torch.Generator().manual_seed(1))(data)
    assert out.num_edges < 4 and out.x is data.x
    assert out.rating.numel() == out.edge_attr.numel() == out.num_edges


def test_draws_come_from_torch_or_from_the_generator():
    data = hetero([(k % 5, k % 6) for k in range(30)])
    torch.manual_seed(0)
    first, second = DropEdges(0.5)(data), DropEdges(0.5)(data)
    torch.manual_seed(0)
    assert_same(DropEdges(0.5)(data), first)
    assert first[RATES].words != second[RATES].words
    transform = DropEdges(0.5, torch.Generator().manual_seed(0))
    state = torch.get_rng_state()
    assert transform(data)[RATES].words != transform(data)[RATES].words
    assert torch.equal(state, torch.get_rng_state())


def test_no_probability_and_no_edges():
    data = hetero([(0, 1), (2, 3)])
    assert_same(DropEdges(0)(data), data)
    assert DropEdges(0.5)(hetero([]))[RATES].edge_index.shape == (2, 0)
    empty = Data(edge_index=edges([]), num_nodes=2)
    assert DropEdges(0.5)(empty).edge_index.shape == (2, 0)


def test_an_edge_index_with_a_cache_becomes_a_plain_one():
    data = hetero([(0, 1), (2, 3), (1, 1)])
    edge_index = EdgeIndex(data[RATES].edge_index, sparse_size=(5, 6))
    data[RATES].edge_index = edge_index.sort_by('row').values.fill_cache_()
    out = DropEdges(0.3)(data)[RATES].edge_index
    assert type(out) is torch.Tensor


def test_composes():
    data = hetero([(k % 5, k % 6) for k in range(30)])
    transform = T.Compose(
        [
            SplitInteractions(),
            DropEdges(0.5, torch.Generator().manual_seed(0)),
            T.ToUndirected(),
            T.ToDevice('cpu'),
        ]
    )
    out = transform(data)
    reverse = out['item', 'rev_rates', 'user']
    assert torch.equal(reverse.edge_index.flip(0), out[RATES].edge_index)
    assert torch.equal(reverse.time, out[RATES].time)
    (out,) = IterableWrapper([data]).irllrec_drop_edges(0.5)
    assert out[RATES].num_edges < 30


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_cuda():
    data = hetero([(k % 5, k % 6) for k in range(30)])
    outs = [
        DropEdges(0.5, torch.Generator().manual_seed(0))(data.to(device)).to('cpu')
        for device in ('cpu', 'cuda')
    ]
    assert_same(*outs)


@pytest.mark.parametrize('p', [-0.1, 1, 1.5, float('nan')])
def test_wrong_probability(p):
    with pytest.raises(ValueError, match="'p' must be at least 0 and below 1, got"):
        DropEdges(p)


@pytest.mark.sparse_tensor
def test_graphs_that_would_keep_dropped_edges_are_refused():
    data = hetero([(0, 1), (2, 3)])
    del data[RATES]['words']  # ToSparseTensor cannot sort lists.
    for made, found in (
        (SymmetricAdjacency(), "'data.edge_index'"),
        (SymmetricAdjacency('csr'), "'data.adj_t'"),
        (T.ToSparseTensor(remove_edge_index=False), "'adj_t'"),
    ):
        with pytest.raises(
            ValueError, match=f'DropEdges must come before .*, got {found}$'
        ):
            DropEdges(0.5)(made(data))
    with pytest.raises(ValueError, match=r"DropEdges must come before .*, got 'adj_t'"):
        DropEdges(0.5)(SymmetricAdjacency('csr')(undirected([(0, 1)], 3)))
    with pytest.raises(ValueError, match=r"must hold an 'edge_index' .*, got edges of"):
        DropEdges(0.5)(T.ToSparseTensor()(data))
    assert repr(DropEdges(0.5)) == 'DropEdges(p=0.5)'


REVERSE = ('item', 'rated_by', 'user')


def test_an_adjacency_of_one_direction_is_refused():
    for edge_type in (RATES, REVERSE):
        data = hetero([(0, 1), (2, 3)])
        data[REVERSE].edge_index = data[RATES].edge_index.flip(0)
        data[edge_type].adj_t = torch.eye(2).to_sparse_csr()
        with pytest.raises(ValueError, match=r"must come before .*, got 'adj_t'"):
            DropEdges(0.5)(data)
