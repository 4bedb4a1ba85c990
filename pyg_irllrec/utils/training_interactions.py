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
    r"""The interactions over which a model passes messages: those of
    :obj:`edge_index`, whatever else the graph holds. Labelled edges beside them are no
    edges of the graph, as :class:`~torch_geometric.transforms.RandomLinkSplit` has it;
    :class:`~pyg_irllrec.training.InteractionDataModule` trains on those of the training
    part too.

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
    num_nodes(data, edge_type)  # Checks the ids.
    return read_edges(data[edge_type])
