from __future__ import annotations

from typing import Any, Optional

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from pyg_irllrec.typing import EdgeType, GraphData
from pyg_irllrec.utils.edge_store import check_hetero, homogeneous_store
from pyg_irllrec.utils.interaction_types import check_edge_type, find_interaction_types


class InteractionTransform(BaseTransform):
    r"""A transform that finds the interactions of a graph.

    Args:
        edge_type (tuple, optional): Their type. (default: :obj:`None`, found)
        rev_edge_type (tuple, optional): That of the same ones in reverse.
            (default: :obj:`None`, found)
    """

    def __init__(
        self,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        if edge_type is not None:
            edge_type = check_edge_type(edge_type)
        if rev_edge_type is not None:
            rev_edge_type = check_edge_type(rev_edge_type, 'rev_edge_type')
        self.edge_type = edge_type
        self.rev_edge_type = rev_edge_type

    def _find(self, data: HeteroData) -> tuple[EdgeType, Any, Optional[Any]]:
        r"""The type of the interactions, their store, and that of the reverse."""
        check_hetero(data, type(self).__name__)
        types = find_interaction_types(data, self.edge_type, self.rev_edge_type)
        reverse = None if types.rev_edge_type is None else data[types.rev_edge_type]
        return types.edge_type, data[types.edge_type], reverse

    def _find_stores(self, data: GraphData) -> tuple[Any, Optional[Any]]:
        r"""The store of the interactions and that of the reverse, in a homogeneous
        graph too."""
        if isinstance(data, HeteroData):
            return self._find(data)[1:]
        return homogeneous_store(data), None
