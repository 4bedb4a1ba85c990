from __future__ import annotations

import copy

import pytest
import torch
import torch_geometric.transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data.datapipes.iter import IterableWrapper
from torch_geometric.data import Data, HeteroData

from pyg_irllrec.transforms.k_core import KCore
from pyg_irllrec.transforms.remap_ids import RemapIds
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
)

INT64 = st.integers(-(2**63), 2**63 - 1)
RAW = st.lists(st.tuples(INT64 | st.integers(-9, 9), INT64), min_size=1, max_size=20)


def raw(pairs, dtype=torch.long):
    data = HeteroData()
    data[RATES].edge_index = edges(pairs, dtype)
    data[RATES].time = torch.arange(len(pairs))
    return data


@given(pairs=RAW)
@settings(deadline=None)
# Sockets that earlier tests left are closed whenever memory is collected.
@pytest.mark.filterwarnings('error', 'ignore::ResourceWarning')
def test_raw_ids(pairs):
    data = raw(pairs)
    before = copy.deepcopy(data)
    out = RemapIds()(data)
    assert_same(data, before)
    users, items = out['user'].id, out['item'].id
    assert users.tolist() == sorted({user for user, _ in pairs})
    assert items.tolist() == sorted({item for _, item in pairs})
    assert out['user'].num_nodes == len(users) and out['item'].num_nodes == len(items)
    user, item = out[RATES].edge_index
    assert list(zip(users[user].tolist(), items[item].tolist(), strict=True)) == pairs
    assert torch.equal(out[RATES].time, data[RATES].time)
    assert_same(RemapIds()(out), out)


@given(pairs=PAIRS)
@settings(deadline=None)
def test_with_ids_it_removes_nodes_without_interactions(pairs):
    data = hetero(pairs)
    data['user'].num_nodes = 99  # Wrong: it is set again.
    before = copy.deepcopy(data)
    out = RemapIds()(data)
    assert_same(data, before)
    check_rows(out)
    users, items = out['user'].id, out['item'].id
    assert users.tolist() == sorted({10 * user for user, _ in pairs})
    assert items.tolist() == sorted({10 * item for _, item in pairs})
    user, item = out[RATES].edge_index
    original = torch.stack([users[user], items[item]]) // 10
    assert pairs_of(original) == pairs
    assert_same(RemapIds()(out), out)


def test_one_side_is_raw_and_ids_are_texts():
    data = raw([(700, 2), (-5, 0), (700, 0)])
    data['user'].num_nodes = 3  # Wrong.
    data['item'].id = ['a', 'b', 'c']
    data['item'].num_nodes = 3
    out = RemapIds()(data)
    assert out['user'].id.tolist() == [-5, 700] and out['user'].num_nodes == 2
    assert out['item'].id == ['a', 'c'] and out['item'].num_nodes == 2
    assert pairs_of(out[RATES].edge_index) == [(1, 1), (0, 0), (1, 0)]


def test_narrow_ids():
    out = RemapIds()(raw([(-200, 7), (3, 9)], torch.int32))
    assert out[RATES].edge_index.dtype == torch.int32
    assert out['user'].id.dtype == torch.long and out['user'].num_nodes == 2


def test_edges_of_other_types_follow():
    data = raw([(700, 20), (-5, 10)])
    data['user', 'trusts', 'user'].edge_index = edges([(700, -5), (700, 3), (4, -5)])
    data['user', 'trusts', 'user'].since = torch.arange(3)
    out = RemapIds()(data)
    assert pairs_of(out['user', 'trusts', 'user'].edge_index) == [(1, 0)]
    assert out['user', 'trusts', 'user'].since.tolist() == [0]


def test_composes():
    pairs = [(10 * user, -item) for user in range(4) for item in range(5)] + [(7, 7)]
    transform = T.Compose(
        [RemapIds(), KCore(2), SplitInteractions(), T.ToUndirected(), T.ToDevice('cpu')]
    )
    out = transform(raw(pairs))
    assert out['user'].id.tolist() == [0, 10, 20, 30]
    assert out['item'].id.tolist() == [-4, -3, -2, -1, 0]
    assert out['item', 'rev_rates', 'user'].num_edges == out[RATES].num_edges
    (out,) = IterableWrapper([raw(pairs)]).irllrec_remap_ids()
    assert out['user'].num_nodes == 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_cuda():
    data = raw([(700, 2**40), (-5, 0), (700, 0)])
    assert_same(RemapIds()(data.to('cuda')).to('cpu'), RemapIds()(data))


def test_errors():
    with pytest.raises(ValueError, match="'edge_index' must hold at least one edge"):
        RemapIds()(hetero([]))
    with pytest.raises(ValueError, match=r"must hold an 'edge_index' .*, got edges of"):
        RemapIds()(HeteroData())
    with pytest.raises(
        ValueError, match=r'RemapIds needs users and items in .* got Data'
    ):
        RemapIds()(Data(edge_index=edges([(0, 1)])))
    with pytest.raises(
        ValueError, match=r'must have shape \(2, num_edges\), got \(3, 1'
    ):
        data = HeteroData()
        data[RATES].edge_index = torch.zeros(3, 1).long()
        RemapIds()(data)
    data = raw([(5, 5)])
    data['item'].x, data['item'].names = torch.zeros(9, 1), ['a', 'b']
    with pytest.raises(
        ValueError,
        match=r"must hold 'id', .* in length: 9 rows of 'x', 2 rows of 'names'",
    ):
        RemapIds()(data)
    with pytest.raises(
        ValueError,
        match=r"edge_index \(item\)' must hold ids from 0 to 2, got ids from 3",
    ):
        RemapIds()(hetero([(0, 3)], num_items=3))
    data = hetero([(0, 0), (1, 1)])
    with pytest.raises(ValueError, match='apply RemapIds before SplitInteractions'):
        RemapIds()(SplitInteractions()(data))
    with pytest.raises(
        ValueError, match='RemapIds must come before transforms that derive'
    ):
        RemapIds()(SymmetricAdjacency()(data))
    assert repr(RemapIds()) == 'RemapIds()'
