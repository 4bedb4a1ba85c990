from __future__ import annotations

import warnings

import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.nn import LightGCN, Recommender, SoftmaxLoss
from pyg_irllrec.training import InteractionDataModule
from pyg_irllrec.training._check_graph import check_graph
from pyg_irllrec.utils import UserItems, bipartite_edge_index

RATES = ('user', 'rates', 'item')


@pytest.mark.parametrize('held_out', [('test',), ('val', 'test')])
def test_every_split_is_checked(held_out):
    """Also after a split that is missing or does not leak."""
    splits = {'val': [[0], [2]], 'test': [[1, 1], [1, 2]]}
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 2, 4
    data[RATES].edge_index = torch.tensor([[0, 1], [0, 3]])
    for name in held_out:
        data[RATES][f'{name}_edge_label_index'] = torch.tensor(splits[name])
    module = InteractionDataModule(data)
    for leaked, expected in (
        (2, pytest.raises(ValueError, match='2 of 2 test inter')),
        (1, pytest.warns(UserWarning, match='1 of 2 test inter')),
    ):
        edges = torch.cat(
            [data[RATES].edge_index, torch.tensor(splits['test'])[:, :leaked]], dim=1
        )
        model = Recommender(LightGCN(2, 4, 2), bipartite_edge_index(edges, 2, 4))
        with expected:
            check_graph(model, module)


def test_edges_between_users_or_between_items_are_ignored():
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 2, 4
    data[RATES].edge_index = torch.tensor([[0, 1], [0, 3]])
    data[RATES].edge_label_index = torch.tensor([[0], [1]])
    social = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
    edge_index = bipartite_edge_index(data[RATES].edge_index, 2, 4)
    edge_index = torch.cat([edge_index, social], dim=1)
    with pytest.warns(UserWarning, match='4 of 8 edges connect two'):
        model = Recommender(LightGCN(2, 4, 2), edge_index)
    check_graph(model, InteractionDataModule(data))


def test_known_interactions_of_a_loss_are_checked():
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 2, 4
    train, test = torch.tensor([[0, 1], [0, 3]]), torch.tensor([[0, 1], [1, 0]])
    data[RATES].edge_index, data[RATES].test_edge_label_index = train, test
    module, edge_index = InteractionDataModule(data), bipartite_edge_index(train, 2, 4)
    seen = torch.cat([train, test[:, :1]], dim=1)
    for pairs, count in ((seen, 1), (train, 0)):
        loss = SoftmaxLoss(known=UserItems(pairs, 2, 4))
        model = Recommender(LightGCN(2, 4, 2), edge_index, ranking=loss)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter('always')
            check_graph(model, module)
        assert len(found) == count
        for each in found:
            message = "1 of 2 test interactions are among the 'known' of the model's ra"
            assert message in str(each.message)
