from __future__ import annotations

import copy

import pytest
import torch
import torch_geometric.transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data.datapipes.iter import IterableWrapper
from torch_geometric.data import Data

from pyg_irllrec.transforms.drop_nodes import DropNodes
from pyg_irllrec.transforms.symmetric_adjacency import SymmetricAdjacency
from tests.transforms.graphs import (
    NUM_ITEMS,
    NUM_USERS,
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
def test_drops_all_edges_of_some_nodes(pairs, p, seed):
    data = hetero(pairs, dtype=torch.int32)
    data[RATES].test_edge_label_index = torch.zeros(2, len(pairs)).long()
    before = copy.deepcopy(data)
    out = DropNodes(p, torch.Generator().manual_seed(seed))(data)
    assert_same(data, before)
    check_rows(out)
    generator = torch.Generator().manual_seed(seed)
    users = torch.rand(NUM_USERS, generator=generator) >= p
    items = torch.rand(NUM_ITEMS, generator=generator) >= p
    expected = [
        k for k, (user, item) in enumerate(pairs) if users[user] and items[item]
    ]
    rates = out[RATES]
    assert rates.number.tolist() == expected
    assert pairs_of(rates.edge_index) == [pairs[k] for k in expected]
    assert rates.edge_index.dtype == torch.int32
    assert rates.test_edge_label_index is data[RATES].test_edge_label_index
    for side in ('user', 'item'):
        assert_same(out[side].to_dict(), data[side].to_dict())


@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_homogeneous_graphs(pairs, seed):
    data = undirected(pairs, num_nodes=6)
    data.x = torch.arange(6)
    out = DropNodes(0.5, torch.Generator().manual_seed(seed))(data)
    kept = torch.rand(6, generator=torch.Generator().manual_seed(seed)) >= 0.5
    expected = [(a, b) for a, b in pairs_of(data.edge_index) if kept[a] and kept[b]]
    assert pairs_of(out.edge_index) == expected
    assert out.num_nodes == 6 and out.x is data.x


def test_shares():
    size = 50_000
    data = hetero([], size, size)
    data[RATES].edge_index = torch.arange(size).expand(2, -1)
    out = DropNodes(0.3, torch.Generator().manual_seed(0))(data)
    assert out[RATES].edge_index.size(1) / size == pytest.approx(0.49, abs=0.01)


def test_draws_come_from_torch_or_from_the_generator():
    data = hetero([(k % 5, k % 6) for k in range(30)])
    torch.manual_seed(0)
    first = DropNodes(0.3)(data)
    torch.manual_seed(0)
    assert_same(DropNodes(0.3)(data), first)
    state = torch.get_rng_state()
    DropNodes(0.3, torch.Generator().manual_seed(0))(data)
    assert torch.equal(state, torch.get_rng_state())


def test_composes():
    data = hetero([(k % 5, k % 6) for k in range(30)])
    transform = T.Compose([DropNodes(0.3), T.ToUndirected(), T.ToDevice('cpu')])
    out = transform(data)
    reverse = out['item', 'rev_rates', 'user']
    assert torch.equal(reverse.edge_index.flip(0), out[RATES].edge_index)
    with pytest.raises(ValueError, match='DropNodes must come before'):
        DropNodes(0.3)(SymmetricAdjacency()(data))
    (out,) = IterableWrapper([data]).irllrec_drop_nodes(0)
    assert_same(out, data)
    assert repr(DropNodes(0.3)) == 'DropNodes(p=0.3)'


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_cuda():
    data = hetero([(k % 5, k % 6) for k in range(30)])
    outs = [
        DropNodes(0.3, torch.Generator().manual_seed(0))(data.to(device)).to('cpu')
        for device in ('cpu', 'cuda')
    ]
    assert_same(*outs)


def test_errors():
    with pytest.raises(ValueError, match="'p' must be at least 0 and below 1, got 1"):
        DropNodes(1)
    with pytest.raises(ValueError, match=r"\(user\)' must hold ids from 0 to 1, got"):
        DropNodes(0.1)(hetero([(2, 0)], num_users=2))
    with pytest.raises(
        ValueError, match='must hold ids from 0 to 1, got ids from 0 to 2'
    ):
        DropNodes(0.1)(Data(edge_index=edges([(0, 2)]), num_nodes=2))
    data = hetero([(0, 0)])
    del data['user']
    with pytest.raises(ValueError, match=r"data\['user'\].num_nodes must be set"):
        DropNodes(0.1)(data)
