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
    r"""Map the interactions of one graph to the node numbers of another graph, by
    original ids.

    With the whole data as :obj:`source` and the training graph as :obj:`target`, the
    result includes held-out and disliked interactions. Pass it to
    :meth:`~pyg_irllrec.nn.Recommender.recommend` as the interactions to exclude if
    users should never see a known item again.

    Args:
        source (HeteroData): The graph with the interactions.
        target (HeteroData): The graph whose node numbers to use, usually derived from
            :obj:`source`. Interactions of nodes that it lacks are left out.
        edge_type (tuple, optional): The edge type of the interactions in both graphs.
            (default: :obj:`None`, found in :obj:`source`)
        rev_edge_type (tuple, optional): The edge type of the reverse interactions.
            (default: :obj:`None`, found in :obj:`source`)

    Returns:
        User numbers and item numbers in :obj:`target`, of shape :math:`(2, E)`.

    Raises:
        ValueError: If the interactions are not found, or a graph lacks their node
            types.

    Example:
        >>> import torch
        >>> from torch_geometric.data import HeteroData
        >>> from pyg_irllrec.utils import map_interactions
        >>> source = HeteroData(
        ...     user={'id': ['ann', 'bob', 'eve'], 'num_nodes': 3},
        ...     item={'id': ['book', 'film'], 'num_nodes': 2},
        ...     user__rates__item={'edge_index': torch.tensor([[0, 1, 2], [0, 0, 1]])},
        ... )
        >>> target = HeteroData(
        ...     user={'id': ['eve', 'ann'], 'num_nodes': 2},
        ...     item={'id': ['book', 'film'], 'num_nodes': 2},
        ... )
        >>> map_interactions(source, target)  # 'bob' is not in it.
        tensor([[1, 0],
                [0, 1]])
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
