from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils.edge_store import check_hetero, edge_store, read_edges
from pyg_irllrec.utils.interaction_types import find_interaction_types
from pyg_irllrec.utils.node_data import read_ids


def map_interactions(
    source: HeteroData,
    target: HeteroData,
    edge_type: Optional[EdgeType] = None,
    rev_edge_type: Optional[EdgeType] = None,
) -> Tensor:
    r"""The interactions of one graph between the nodes of another, which was made of
    it, by original ids. With the whole data as :obj:`source`, this is what
    :meth:`~pyg_irllrec.nn.Recommender.recommend` excludes for users who should see
    nothing again, be it held out or disliked.

    Args:
        source (HeteroData): The graph that holds the interactions.
        target (HeteroData): The graph whose nodes they are to join. Interactions of
            nodes that it does not hold are left out.
        edge_type (tuple, optional): The type of the interactions of both.
            (default: :obj:`None`, found in :obj:`source`)
        rev_edge_type (tuple, optional): The type of their reverse.
            (default: :obj:`None`, found in :obj:`source`)

    Returns:
        Pairs of nodes of :obj:`target`, of shape :math:`(2, E)`.

    Raises:
        ValueError: If a graph does not hold such nodes.
    """
    for name, data in (('source', source), ('target', target)):
        check_hetero(data, f"'{name}'")
    edge_type, _ = find_interaction_types(source, edge_type, rev_edge_type)
    rows = []
    for side, row in zip(
        (edge_type[0], edge_type[2]), read_edges(edge_store(source, edge_type))
    ):
        place = {name: node for node, name in enumerate(read_ids(target, side))}
        nodes = torch.tensor(
            [place.get(name, -1) for name in read_ids(source, side)], dtype=torch.long
        )
        rows.append(nodes[row])
    pairs = torch.stack(rows)
    return pairs[:, (pairs >= 0).all(dim=0)]
