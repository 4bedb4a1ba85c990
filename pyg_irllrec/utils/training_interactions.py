from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils.adjacency import check_node_ids
from pyg_irllrec.utils.edge_store import num_nodes, read_edges
from pyg_irllrec.utils.interaction_types import find_interaction_types
from pyg_irllrec.utils.split_layout import SplitLayout, positive_edges, split_layout


def training_interactions(
    data: HeteroData,
    edge_type: Optional[EdgeType] = None,
    rev_edge_type: Optional[EdgeType] = None,
) -> Tensor:
    r"""The interactions to train on, of any layout: those of :obj:`edge_index`, and, in
    the training part of :class:`~torch_geometric.transforms.RandomLinkSplit`, the
    positive edges of :obj:`edge_label_index` that :obj:`disjoint_train_ratio` took out
    of it.

    Args:
        data (HeteroData): The graph; of the three parts of
            :class:`~torch_geometric.transforms.RandomLinkSplit`, the first.
        edge_type (tuple, optional): The type of the interactions.
            (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the same interactions in reverse.
            (default: :obj:`None`, found likewise)

    Returns:
        User ids and item ids, each from zero, of shape :math:`(2, |\mathcal{E}|)` in
        :obj:`torch.long`.

    Raises:
        ValueError: If the interactions are not found, or ids are out of range.
    """
    edge_type, _ = find_interaction_types(data, edge_type, rev_edge_type)
    num_users, num_items = num_nodes(data, edge_type)
    store = data[edge_type]
    edge_index = read_edges(store)
    if split_layout(store) is not SplitLayout.LINK_SPLIT:
        return edge_index
    positive = positive_edges(store)
    check_node_ids(positive[0], num_users, f'edge_label_index of {edge_type} (users)')
    check_node_ids(positive[1], num_items, f'edge_label_index of {edge_type} (items)')
    keys, more = (edges[0] * num_items + edges[1] for edges in (edge_index, positive))
    return torch.cat([edge_index, positive[:, ~torch.isin(more, keys)]], dim=1)
