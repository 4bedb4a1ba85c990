from __future__ import annotations

import copy

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch_geometric.data import HeteroData

from pyg_irllrec.utils.select_edges import edge_attributes, select_edges
from tests.transforms.graphs import PAIRS, RATES, check_rows, edges, hetero

REVERSE = ('item', 'liked_by', 'user')


@given(pairs=PAIRS, data=st.data())
@settings(deadline=None)
def test_the_reverse_follows_in_any_order(pairs, data):
    order = torch.tensor(data.draw(st.permutations(range(len(pairs)))))
    kept = torch.tensor(
        sorted(data.draw(st.sets(st.sampled_from(range(len(pairs)))))), dtype=torch.long
    )
    # An exact flip is matched by position.
    assume([pairs[k] for k in order.tolist()] != pairs)
    graph = hetero(pairs)
    # Repeats of a pair are matched by the attribute of both stores, the number.
    reverse = graph[REVERSE]
    reverse.edge_index = edges(pairs).flip(0)[:, order]
    reverse.number, reverse.note = order.clone(), [f'of {k}' for k in order.tolist()]
    reverse.time = graph[RATES].time[order]
    select_edges(graph, graph[RATES], kept, reverse)
    check_rows(graph)
    assert graph[RATES].number.tolist() == kept.tolist()
    left = [k for k in order.tolist() if k in kept]
    assert reverse.number.tolist() == left
    assert reverse.note == [f'of {k}' for k in left]
    assert reverse.edge_index.tolist() == edges(pairs).flip(0)[:, left].tolist()


def test_attributes_of_edges():
    data = hetero([(0, 0), (1, 1)])
    rates = data[RATES]
    rates.val_edge_label_index = torch.zeros(2, 2).long()  # Equally many, but held out.
    rates.edge_label_index, rates.edge_label = torch.zeros(2, 2), torch.zeros(2)
    rates.scalar, rates.three = torch.tensor(1.0), torch.zeros(3)
    names = ['number', 'rating', 'time', 'words', 'other_index']
    assert edge_attributes(data, rates) == names
    # Without labelled edges, labels belong to these edges.
    del rates.edge_label_index
    assert edge_attributes(data, rates) == [*names, 'edge_label']


def test_repeats_are_matched_by_all_columns():
    data = hetero([(0, 0), (0, 0), (0, 0), (1, 1)])
    rates, reverse = data[RATES], data[REVERSE]
    order = torch.tensor([3, 1, 2, 0])
    for key in ('number', 'rating', 'time', 'words', 'other_index'):
        del rates[key]
    rates.name, reverse.name = list('abcd'), list('dbca')
    reverse.edge_index = rates.edge_index.flip(0)[:, order]
    for key, value in (
        ('attr', torch.tensor([[[1.0], [2.0]], [[1], [3]], [[0], [9]], [[1], [1]]])),
        ('array', torch.tensor([2.0, 3, 1, 0]).numpy()),
        ('pair_index', torch.tensor([[1, 1, 0, 0], [2, 3, 9, 0]])),
    ):
        out = copy.copy(data)
        row = value[..., order] if 'index' in key else value[order]
        out[RATES][key], out[REVERSE][key] = value, row
        select_edges(out, out[RATES], torch.tensor([0, 2]), out[REVERSE])
        assert out[RATES].name == ['a', 'c'] and out[REVERSE].name == ['c', 'a']


def test_an_index_of_any_kind():
    data = hetero([(0, 0), (1, 1), (2, 2)])
    data[RATES].review_index = np.array([5, 6, 7])
    data[RATES].place_index = [5, 6, 7]
    data[RATES].node_index = np.array([[1, 2, 3], [4, 5, 6]])
    select_edges(data, data[RATES], torch.tensor([0, 2]))
    assert data[RATES].review_index.tolist() == data[RATES].place_index == [5, 7]
    assert data[RATES].node_index.tolist() == [[1, 3], [4, 6]]


def test_no_edges():
    data = HeteroData()
    for edge_type in (RATES, REVERSE):
        data[edge_type].edge_index = torch.empty(2, 0).long()
    select_edges(data, data[RATES], torch.empty(0).long(), data[REVERSE])
    assert data[REVERSE].edge_index.shape == (2, 0)
