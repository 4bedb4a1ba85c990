from __future__ import annotations

from typing import Optional

from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj

from pyg_irllrec.utils.adjacency import (
    check_node_ids,
    narrow_ids,
    sort_by_target,
    source_and_target,
    symmetric_norm,
    to_edge_index,
)


def normalised_graph(
    edge_index: Adj, edge_weight: Optional[Tensor], num_users: int, num_items: int
) -> tuple[EdgeIndex, Tensor]:
    r"""The undirected user-item graph, users first, in the form in which products
    with it are fast, with 32-bit ids where they suffice, and its weights: those given
    or those of :func:`~pyg_irllrec.utils.symmetric_norm`.

    Raises:
        ValueError: If the graph is empty, names other nodes or has one direction.
    """
    edge_index, edge_weight = to_edge_index(edge_index, edge_weight)
    if edge_index.size(1) == 0:
        raise ValueError("'edge_index' must hold at least one edge, got none")
    num_nodes = num_users + num_items
    check_node_ids(edge_index, num_nodes)
    source, _ = source_and_target(edge_index)
    if int(source.max()) < num_users:
        raise ValueError(
            "'edge_index' must hold both directions of the graph with items behind "
            f'users, from {num_users} on, got no edge that leaves an item: '
            'make it with bipartite_edge_index(interactions, num_users, num_items)'
        )
    if edge_weight is None:
        edge_weight = symmetric_norm(edge_index, num_nodes)
    graph, order = sort_by_target(edge_index, num_nodes)
    return narrow_ids(graph), edge_weight if order is None else edge_weight[order]
