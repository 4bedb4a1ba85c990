"""Graphs of users and items with attributes of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import Data, HeteroData

NUM_USERS, NUM_ITEMS = 5, 6
PAIRS = st.lists(
    st.tuples(st.integers(0, NUM_USERS - 1), st.integers(0, NUM_ITEMS - 1)),
    min_size=1,
    max_size=30,
)
RATES = ('user', 'rates', 'item')


class Rows:
    """Texts that can be selected but not copied to a list."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def take(self, index: Any) -> Rows:
        return Rows(self.values[np.asarray(index)])

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and self.values.tolist() == other.values.tolist()


def edges(pairs: list[tuple[int, int]], dtype: torch.dtype = torch.long) -> Tensor:
    return torch.tensor(pairs, dtype=dtype).reshape(-1, 2).t().contiguous()


def hetero(
    pairs: list[tuple[int, int]],
    num_users: int = NUM_USERS,
    num_items: int = NUM_ITEMS,
    dtype: torch.dtype = torch.long,
) -> HeteroData:
    """Each attribute of a node or edge is its index, whatever the kind of storage."""
    data = HeteroData(source='somewhere')
    for side, size in (('user', num_users), ('item', num_items)):
        store = data[side]
        store.num_nodes = size
        store.id = torch.arange(size) * 10
        store.x = torch.arange(size, dtype=torch.float64).reshape(-1, 1).expand(-1, 3)
        store.mask = torch.arange(size) % 2 == 0
        store.array = np.arange(size, dtype=np.int16)
        store.names = [f'{side} {node}' for node in range(size)]
        store.text = Rows([f'text {node}' for node in range(size)])
        store.scalar, store.note = torch.tensor(1.0), {'any': 'thing'}
    rates = data[RATES]
    number = torch.arange(len(pairs))
    rates.edge_index = edges(pairs, dtype)
    rates.number = number
    rates.rating = (number % 5 + 1).float()
    rates.time = number.flip(0) + 1000
    rates.words = [f'edge {k}' for k in number.tolist()]
    rates.other_index = number.expand(2, -1)
    return data


def check_rows(data: HeteroData) -> None:
    """Assert that all attributes belong to the same nodes and edges."""
    for side in ('user', 'item'):
        store = data[side]
        node = (store.id // 10).tolist()
        assert store.num_nodes == len(node)
        assert store.x.tolist() == [[k] * 3 for k in node]
        assert store.x.dtype == torch.float64
        assert store.mask.tolist() == [k % 2 == 0 for k in node]
        assert store.array.tolist() == node and store.array.dtype == np.int16
        assert store.names == [f'{side} {k}' for k in node]
        assert store.text == Rows([f'text {k}' for k in node])
        assert store.scalar == 1 and store.note == {'any': 'thing'}
    rates = data[RATES]
    number = rates.number.tolist()
    assert rates.edge_index.shape == (2, len(number))
    if 'rating' in rates:
        assert rates.rating.tolist() == [k % 5 + 1 for k in number]
        assert rates.rating.dtype == torch.float32
    assert rates.words == [f'edge {k}' for k in number]
    assert rates.other_index.tolist() == [number, number]
    assert data.source == 'somewhere'


def pairs_of(edge_index: Tensor) -> list[tuple[int, int]]:
    return [tuple(pair) for pair in edge_index.t().tolist()]


def undirected(pairs: list[tuple[int, int]], num_nodes: int) -> Data:
    """Both directions of each edge, one after the other."""
    both = [edge for a, b in pairs for edge in ((a, b), (b, a))]
    return Data(edge_index=edges(both), num_nodes=num_nodes)


def assert_same(one: Any, other: Any) -> None:
    """Assert that two graphs have equal attributes."""
    if isinstance(one, (Data, HeteroData)):
        assert type(one) is type(other)
        one, other = one.to_dict(), other.to_dict()
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, (Tensor, np.ndarray)):
        assert one.dtype == other.dtype and np.array_equal(one, other)
    else:
        assert one == other
