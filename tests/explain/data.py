"""A model with fixed embeddings, and the graph that it was built from."""

from __future__ import annotations

import torch
from torch.nn import Parameter
from torch_geometric.data import HeteroData

from pyg_irllrec.nn import Backbone, BackboneOutput, Recommender
from pyg_irllrec.utils import bipartite_edge_index

USERS = [[4.0, 0], [3, 1], [0, 2], [0, 0]]
ITEMS = [[1.0, 0], [0, 1], [2, 1], [0.5, 0.5], [3, 0]]
TRAIN = torch.tensor([[0, 0, 1, 2, 0], [0, 1, 2, 1, 0]])  # With one pair twice.


class Fixed(Backbone):
    """Fixed embeddings. Prototypes are the axes, twice as long for items."""

    def __init__(self, num_intents=2):
        super().__init__(len(USERS), len(ITEMS), 2, num_intents=num_intents)
        self.table = Parameter(torch.tensor(USERS + ITEMS))
        if num_intents:
            self.user_prototypes.weight.data = torch.eye(2, num_intents)
            self.item_prototypes.weight.data = 2 * torch.eye(2, num_intents)

    def encode(self, x, edge_index, edge_weight):
        noise = torch.randn_like(self.table) if self.training else 0
        return BackboneOutput(self.table + noise)


def build(**kwargs):
    edge_index = bipartite_edge_index(TRAIN, len(USERS), len(ITEMS))
    return Recommender(Fixed(**kwargs), edge_index)


def graph():
    data = HeteroData()
    data['user'].id = ['ann', 'bob', 'cy', 'di']
    data['user'].num_nodes, data['item'].num_nodes = len(USERS), len(ITEMS)
    data['user'].profile_text = ['likes space', 'space, love', 'wants love', '']
    data['user'].intent_text = ['Space: far away.', '', 'Love: love.', '']
    data['item'].text = ['space one', 'love two', 'space love', 'space three', 'space']
    data['user', 'rates', 'item'].edge_index = TRAIN
    return data
