from __future__ import annotations

import pytest
import torch

from pyg_irllrec.utils.select_nodes import select_nodes
from tests.transforms.graphs import RATES, check_rows, edges, hetero, pairs_of


def test_edges_of_all_types_are_renumbered():
    data = hetero([(0, 0), (1, 5), (4, 5), (4, 2)])
    data['item', 'rev_rates', 'user'].edge_index = data[RATES].edge_index.flip(0)
    data['user', 'trusts', 'user'].edge_index = edges([(0, 4), (4, 1)])
    data['item', 'near', 'item'].edge_index = edges([(5, 2)])
    select_nodes(data, {'user': torch.tensor([1, 4]), 'item': torch.tensor([2, 5])})
    check_rows(data)
    assert data['user'].id.tolist() == [10, 40] and data['item'].num_nodes == 2
    assert pairs_of(data[RATES].edge_index) == [(0, 1), (1, 1), (1, 0)]
    reverse = data['item', 'rev_rates', 'user'].edge_index
    assert torch.equal(reverse.flip(0), data[RATES].edge_index)
    assert pairs_of(data['user', 'trusts', 'user'].edge_index) == [(1, 0)]
    assert pairs_of(data['item', 'near', 'item'].edge_index) == [(1, 0)]


@pytest.mark.parametrize('key', ['adj_t', 'adj', 'edge_label_index'])
def test_attributes_with_old_numbers_are_rejected(key):
    data = hetero([(0, 0), (1, 5)])
    data['user', 'trusts', 'user'][key] = torch.zeros(2, 1).long()
    before = data['user'].id
    with pytest.raises(
        ValueError, match=rf"'{key}' of \('user', 'trusts', 'user'\), w"
    ):
        select_nodes(data, {'user': torch.tensor([0])})
    assert data['user'].id is before
    select_nodes(data, {'item': torch.tensor([0, 5])})  # These nodes stay.


def test_one_side():
    data = hetero([(0, 0), (1, 5)])
    select_nodes(data, {'item': torch.tensor([5])})
    assert pairs_of(data[RATES].edge_index) == [(1, 0)]
    assert data['user'].num_nodes == 5
