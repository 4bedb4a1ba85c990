from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch_geometric.transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data.datapipes.iter import IterableWrapper
from torch_geometric.data import Data

from pyg_irllrec.transforms.k_core import KCore
from pyg_irllrec.transforms.split_interactions import SplitInteractions
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
)


def dense_core(pairs, k, k_item):
    """Remove one node at a time from the dense matrix."""
    matrix = np.zeros((NUM_USERS, NUM_ITEMS), dtype=int)
    for user, item in pairs:
        matrix[user, item] = 1
    while True:
        few = [('u', u) for u, n in enumerate(matrix.sum(axis=1)) if 0 < n < k]
        few += [('i', i) for i, n in enumerate(matrix.sum(axis=0)) if 0 < n < k_item]
        if not few:
            return matrix
        side, node = few[0]
        if side == 'u':
            matrix[node] = 0
        else:
            matrix[:, node] = 0


@given(pairs=PAIRS, k=st.integers(1, 3), k_item=st.none() | st.integers(1, 3))
@settings(deadline=None, max_examples=100)
def test_equals_the_dense_core(pairs, k, k_item):
    data = hetero(pairs, dtype=torch.int32)
    before = copy.deepcopy(data)
    core = dense_core(pairs, k, k if k_item is None else k_item)
    if core.sum() == 0:
        with pytest.raises(ValueError, match=f"'k' = {k} .*leaves? nothing of"):
            KCore(k, k_item)(data)
        return
    out = KCore(k, k_item)(data)
    assert_same(data, before)
    check_rows(out)
    users, items = (out[side].id // 10 for side in ('user', 'item'))
    assert users.tolist() == np.flatnonzero(core.sum(axis=1)).tolist()
    assert items.tolist() == np.flatnonzero(core.sum(axis=0)).tolist()
    rates = out[RATES]
    left = [k for k, pair in enumerate(pairs) if core[pair]]
    assert rates.number.tolist() == left and rates.edge_index.dtype == torch.int32
    user, item = rates.edge_index.long()
    original = torch.stack([users[user], items[item]])
    assert pairs_of(original) == [pairs[k] for k in left]


def test_peels_in_rounds():
    # A path, which is peeled from its ends, attached to a square.
    pairs = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 2)]
    out = KCore(2)(hetero(pairs))
    assert out['user'].id.tolist() == [20, 30] and out['item'].id.tolist() == [20, 30]
    assert pairs_of(out[RATES].edge_index) == [(0, 0), (0, 1), (1, 1), (1, 0)]


@pytest.mark.parametrize('dtype', [torch.int32, torch.long])
def test_ids_of_any_type(dtype):
    out = KCore(2)(
        hetero([(1, 1), (1, 2), (3, 1), (3, 2), (0, 0), (3, 5)], dtype=dtype)
    )
    assert pairs_of(out[RATES].edge_index) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert out[RATES].edge_index.dtype == dtype


def test_repeated_interactions_count_once_and_stay():
    out = KCore(1, 2)(hetero([(0, 0), (0, 0), (1, 1), (2, 1), (1, 1)]))
    assert out['user'].id.tolist() == [10, 20] and out['item'].id.tolist() == [10]
    assert out[RATES].number.tolist() == [2, 3, 4]


def test_edges_of_other_types_follow():
    data = hetero([(1, 1), (1, 2), (3, 1), (3, 2), (0, 0)])
    data['user', 'trusts', 'user'].edge_index = edges([(0, 1), (1, 3), (3, 1), (4, 4)])
    data['user', 'trusts', 'user'].since = torch.arange(4)
    data['item', 'has', 'genre'].edge_index = edges([(0, 9), (2, 8)])
    data['genre'].num_nodes = 10
    data['genre', 'near', 'genre'].edge_index = edges([(0, 9)])
    with pytest.raises(ValueError, match="'edge_type' must name the interactions"):
        KCore(2)(data)
    out = KCore(2, edge_type=RATES)(data)
    trusts = out['user', 'trusts', 'user']
    assert pairs_of(trusts.edge_index) == [(0, 1), (1, 0)]
    assert trusts.since.tolist() == [1, 2]
    assert pairs_of(out['item', 'has', 'genre'].edge_index) == [(1, 8)]
    assert out['genre'].num_nodes == 10
    assert pairs_of(out['genre', 'near', 'genre'].edge_index) == [(0, 9)]


def test_texts_in_a_file_are_selected_and_not_copied():
    pytest.importorskip('pyarrow')
    from pyg_irllrec.utils.text_array import TextArray

    data = hetero([(1, 1), (1, 2), (3, 1), (3, 2)])
    data['user'].text = TextArray([f'text {node}' for node in range(NUM_USERS)])
    out = KCore(2)(data)['user'].text
    assert isinstance(out, TextArray) and list(out) == ['text 1', 'text 3']


def test_composes():
    pairs = [(user, item) for user in range(4) for item in range(5)] + [(4, 5)]
    transform = T.Compose(
        [KCore(3), SplitInteractions(), T.ToUndirected(), T.ToDevice('cpu')]
    )
    out = transform(hetero(pairs))
    assert out['user'].num_nodes == 4 and out['item'].num_nodes == 5
    reverse = out['item', 'rev_rates', 'user']
    assert torch.equal(reverse.edge_index.flip(0), out[RATES].edge_index)
    (out,) = IterableWrapper([hetero(pairs)]).irllrec_k_core(k=3)
    assert out['user'].num_nodes == 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_cuda():
    data = hetero([(1, 1), (1, 2), (3, 1), (3, 2), (0, 0)])
    assert_same(KCore(2)(data.to('cuda')).to('cpu'), KCore(2)(data))


def test_errors():
    data = hetero([(0, 0), (1, 1)])
    with pytest.raises(ValueError, match="'k' must be an integer of at least 1, got 0"):
        KCore(0)
    with pytest.raises(
        ValueError, match="'k_item' must be an integer of at least 1, got -1"
    ):
        KCore(2, -1)
    with pytest.raises(
        ValueError,
        match="'k' = 2 and 'k_item' = 3 leave nothing of 5 users and 6 items with 2 ",
    ):
        KCore(2, 3)(data)
    with pytest.raises(
        ValueError, match=r"^'k' = 1 leaves nothing of 5 users and 6 items with 0"
    ):
        KCore(1)(hetero([]))
    with pytest.raises(
        ValueError, match=r"^'k' = 1 leaves nothing of 0 users and 0 items with 0"
    ):
        KCore(1)(hetero([], 0, 0))
    with pytest.raises(ValueError, match=r'KCore needs users and items in .* got Data'):
        KCore(1)(Data(edge_index=edges([(0, 1)])))
    with pytest.raises(
        ValueError,
        match=r"holds .*'val_edge_label_.*: apply KCore before SplitInteractions",
    ):
        KCore(1)(SplitInteractions()(data))
    with pytest.raises(
        ValueError, match='KCore must come before transforms that derive'
    ):
        KCore(1)(SymmetricAdjacency('csr')(data))
    del data['item'].num_nodes, data['item'].x
    with (
        pytest.warns(UserWarning, match='infer'),
        pytest.raises(ValueError, match=r"data\['item'\].num_nodes must be set"),
    ):
        KCore(1)(data)
    with pytest.raises(ValueError, match=r"\(user\)' must hold ids from 0 to 1, got"):
        KCore(1)(hetero([(2, 0)], num_users=2))
    for args, message in (
        ((2.5,), "'k' must be an integer of at least 1, got 2.5"),
        ((2, True), "'k_item' must be an integer of at least 1, got True"),
    ):
        with pytest.raises(ValueError, match=message):
            KCore(*args)
    assert repr(KCore(2)) == 'KCore(k=2)'
    assert repr(KCore(2, 3)) == 'KCore(k=2, k_item=3)'
