from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric import EdgeIndex
from torch_geometric.data import Data, HeteroData

from pyg_irllrec.utils.edge_store import (
    edge_order,
    edge_store,
    find_edges,
    homogeneous_store,
    num_nodes,
    plain,
    read_edges,
    read_time,
    same_edges,
)
from tests.layouts import PAIRS, RATES, movie_lens_1m, pairs


def test_reading():
    data = movie_lens_1m()
    store = edge_store(data, RATES)
    store.edge_index = EdgeIndex(store.edge_index.int())
    assert type(plain(store.edge_index)) is torch.Tensor
    edges = read_edges(store)
    assert edges.dtype == torch.long and pairs(edges) == PAIRS
    assert num_nodes(data, RATES) == (6, 8)


@given(rows=st.lists(st.tuples(*[st.sampled_from([-(2**63), 0, 1, 2**63 - 1])] * 3)))
@settings(deadline=None)
def test_order_equals_sorted(rows):
    source, target, value = torch.tensor(rows, dtype=torch.long).reshape(-1, 3).t()
    order = edge_order(torch.stack([source, target]), [value])
    assert [rows[k] for k in order.tolist()] == sorted(rows)


IDS = st.sampled_from([-(2**63), -1, 0, 1, 2, 2**62])
EDGES = st.lists(st.tuples(IDS, IDS), max_size=5)


@given(rows=EDGES, other=EDGES, data=st.data())
@settings(deadline=None)
def test_the_same_edges(rows, other, data):
    def tensor(rows):
        return torch.tensor(rows, dtype=torch.long).reshape(-1, 2).t()

    assert same_edges(tensor(rows), tensor(data.draw(st.permutations(rows))))
    expected = sorted(rows) == sorted(other)
    assert same_edges(tensor(rows), tensor(other)) == expected


def test_a_negative_id_is_a_different_edge():
    assert not same_edges(torch.tensor([[-1], [0]]), torch.tensor([[0], [0]]))
    assert not same_edges(torch.tensor([[0], [0]]), torch.tensor([[-1], [0]]))


@given(rows=EDGES, other=EDGES)
@settings(deadline=None)
def test_edges_that_are_found(rows, other):
    def tensor(rows):
        return torch.tensor(rows, dtype=torch.long).reshape(-1, 2).t()

    found = find_edges(tensor(rows), tensor(other))
    assert found.tolist() == [row in rows for row in other]


def test_reading_time():
    store = movie_lens_1m()[RATES]
    store.time = store.time.int()
    assert read_time(store, 24).dtype == torch.long
    for time, message in (
        (torch.zeros(3), r"'time' must have shape \(24,\), got \(3,\)"),
        (torch.zeros(24), "'time' must hold integers, got torch.float32"),
        ([1] * 24, "'time' must be a tensor, got list"),
    ):
        store.time = time
        with pytest.raises(ValueError, match=message):
            read_time(store, 24)
    del store.time
    assert read_time(store, 24) is None
    with pytest.raises(
        ValueError, match="needs the 'time' of each interaction, got no"
    ):
        read_time(store, 24, required=True)


def test_errors():
    with pytest.raises(ValueError, match="'data' must hold 'edge_index', got none"):
        homogeneous_store(Data())
    with pytest.raises(ValueError, match="got none but 'adj_t': apply ToSparseTensor"):
        homogeneous_store(Data(adj_t=torch.eye(2).to_sparse_csr()))
    with pytest.raises(ValueError, match=r"must hold 'edge_index' of .*got edges of"):
        edge_store(HeteroData(), RATES)
    data = movie_lens_1m()
    data['movie'].x = torch.zeros(3, 1)
    with pytest.raises(ValueError, match=r"\(movie\)' must hold ids from 0 to 2, got"):
        num_nodes(data, RATES)
