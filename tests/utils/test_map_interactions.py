from __future__ import annotations

import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.transforms import KCore
from pyg_irllrec.utils.map_interactions import map_interactions


def test_interactions_between_the_remaining_nodes():
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 4, 3
    data['user'].id, data['item'].id = list('abcd'), torch.tensor([7, 8, 9])
    data['user', 'rates', 'item'].edge_index = torch.tensor(
        [[0, 0, 1, 1, 2, 3], [1, 2, 1, 2, 0, 2]]
    )
    small = KCore(2)(data.clone())
    assert small['user'].id == ['a', 'b'] and small['item'].id.tolist() == [8, 9]
    # As if the last interaction were held out.
    store = small['user', 'rates', 'item']
    store.edge_index = store.edge_index[:, :-1]
    pairs = map_interactions(data, small)
    assert pairs.tolist() == [[0, 0, 1, 1], [0, 1, 0, 1]]
    assert torch.equal(
        map_interactions(data, data), data['user', 'rates', 'item'].edge_index
    )


def test_graphs_without_interactions():
    with pytest.raises(ValueError):
        map_interactions(HeteroData(), HeteroData())
