from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj

from pyg_irllrec.utils.adjacency import (
    check_node_ids,
    source_and_target,
    symmetric_norm,
    to_edge_index,
)
from pyg_irllrec.utils.graph_cache import check_size, sorted_graph
from pyg_irllrec.utils.warn_caller import warn_caller


def normalised_graph(
    edge_index: Adj, edge_weight: Optional[Tensor], num_users: int, num_items: int
) -> tuple[EdgeIndex, Tensor]:
    r"""A copy of the undirected user-item graph, in which items follow users, in the
    form in which sparse products are fast, with 32-bit ids if they fit. Also return its
    weights: the given ones, or :func:`~pyg_irllrec.utils.symmetric_norm`. Edges between
    two users or two items cause a warning.

    Raises:
        ValueError: If the graph is empty, its size or its ids do not fit the numbers of
            users and items, it has only one direction, or a weight is not finite.
    """
    adj, num_nodes = edge_index, num_users + num_items
    edge_index, edge_weight = to_edge_index(adj, edge_weight)
    check_size(adj, edge_index, num_nodes, num_nodes)
    if edge_index.size(1) == 0:
        raise ValueError("'edge_index' must hold at least one edge, got none")
    check_node_ids(edge_index, num_nodes)
    from_user, to_user = (end < num_users for end in source_and_target(edge_index))
    for what, leaves, reaches in (
        ('a user to an item', from_user, ~to_user),
        ('an item to a user', ~from_user, to_user),
    ):
        if not bool((leaves & reaches).any()):
            raise ValueError(
                "'edge_index' must hold edges in both directions, with item ids that "
                f'start at {num_users}, got no edge from {what}: build it with '
                'bipartite_edge_index(interactions, num_users, num_items)'
            )
    within = int((from_user == to_user).sum())
    if within > 0:
        warn_caller(
            f'{within} of {edge_index.size(1)} edges connect two users or two items '
            f'instead of a user and an item. With {num_users} users, item ids start at '
            f'{num_users}. Were the numbers of users and items swapped?'
        )
    if edge_weight is None:
        edge_weight = symmetric_norm(edge_index, num_nodes)
    bad = (~torch.isfinite(edge_weight)).nonzero().flatten()
    if bad.numel() > 0:
        raise ValueError(
            "'edge_weight' must be finite, got NaN or infinity for "
            f'{bad.numel()} of {edge_weight.numel()} edges (first: edge {int(bad[0])})'
        )
    graph, order = sorted_graph(edge_index, num_nodes)
    return graph, edge_weight if order is None else edge_weight[order]
