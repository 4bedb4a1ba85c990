"""Split interactions with texts, and pairs to hold out."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

RATES = ('user', 'rates', 'item')
NUM_USERS, NUM_ITEMS = 5, 6
WORDS = ['tea', 'coffee', 'bicycle', 'garden', '', 'chess puzzles']


def split_data(train, time=None, rating=None, text=WORDS, num_users=NUM_USERS):
    """A graph of :obj:`train`, pairs of user and item, with nothing held out."""
    data = HeteroData()
    data['user'].num_nodes = num_users
    data['item'].num_nodes = len(text)
    data['item'].text = list(text)
    rates = data[RATES]
    rates.edge_index = torch.tensor(train, dtype=torch.long).view(-1, 2).t()
    if time is not None:
        rates.time = torch.tensor(time, dtype=torch.long)
    if rating is not None:
        rates.rating = torch.tensor(rating)
    hold_out(data, [], [])
    return data


def hold_out(data, val, test):
    for name, pairs in (('val', val), ('test', test)):
        pairs = torch.tensor(pairs, dtype=torch.long).view(-1, 2).t()
        data[RATES][f'{name}_edge_label_index'] = pairs
    return data


PAIRS = st.lists(
    st.tuples(st.integers(0, NUM_USERS - 1), st.integers(0, NUM_ITEMS - 1)),
    max_size=15,
)


@st.composite
def same_training(draw):
    """Two graphs that differ only in the held-out interactions."""
    train = draw(PAIRS)
    size = len(train)
    numbers = st.lists(st.integers(0, 3), min_size=size, max_size=size)
    time = draw(st.none() | numbers)
    rating = draw(st.none() | numbers.map(lambda values: [float(v) for v in values]))
    first, second = (split_data(train, time, rating) for _ in range(2))
    hold_out(first, draw(PAIRS), draw(PAIRS))
    hold_out(second, draw(PAIRS), draw(PAIRS))
    return first, second
