from __future__ import annotations

from typing import Optional

from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils.edge_store import num_nodes, read_edges
from pyg_irllrec.utils.interaction_types import find_interaction_types


def training_interactions(
    data: HeteroData,
    edge_type: Optional[EdgeType] = None,
    rev_edge_type: Optional[EdgeType] = None,
) -> Tensor:
    r"""The interactions in :obj:`edge_index`, over which a model passes messages.

    Labelled edges are not included, as in
    :class:`~torch_geometric.transforms.RandomLinkSplit`, although
    :class:`~pyg_irllrec.training.InteractionDataModule` also trains on those of the
    training part.

    Args:
        data (HeteroData): The graph. If
            :class:`~torch_geometric.transforms.RandomLinkSplit` made three parts of it,
            the first one.
        edge_type (tuple, optional): The edge type of the interactions.
            (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The edge type of the reverse interactions.
            (default: :obj:`None`, found in the same way)

    Returns:
        Zero-based user ids and item ids in :obj:`torch.long`, of shape
        :math:`(2, |\mathcal{E}|)`.

    Raises:
        ValueError: If the interactions are not found, or ids are out of range.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.utils import UserItems, training_interactions
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> interactions = training_interactions(data)
        >>> UserItems(interactions, num_users=12, num_items=10)
        UserItems(num_users=12, num_items=10, num_interactions=...)
    """
    edge_type, _ = find_interaction_types(data, edge_type, rev_edge_type)
    num_nodes(data, edge_type)  # Checks the ids.
    return read_edges(data[edge_type])
