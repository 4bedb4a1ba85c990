from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from torch_geometric.data import Data, HeteroData
from torch_geometric.transforms import BaseTransform

from pyg_irllrec.typing import EdgeType, GraphData
from pyg_irllrec.utils.edge_store import check_hetero, homogeneous_store
from pyg_irllrec.utils.given_arguments import given_arguments
from pyg_irllrec.utils.interaction_types import check_edge_type, find_interaction_types
from pyg_irllrec.utils.node_data import find_sides


class InteractionTransform(BaseTransform):
    r"""The base class of transforms that find the interactions of a graph.

    Args:
        edge_type (tuple, optional): The type of the interactions.
            (default: :obj:`None`, found)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
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
        r"""Return the type of the interactions, their store and the reverse store."""
        check_hetero(data, type(self).__name__)
        types = find_interaction_types(data, self.edge_type, self.rev_edge_type)
        reverse = None if types.rev_edge_type is None else data[types.rev_edge_type]
        return types.edge_type, data[types.edge_type], reverse

    def _find_stores(self, data: GraphData) -> tuple[Any, Optional[Any]]:
        r"""Return the store of the interactions and the reverse store, also for a
        homogeneous graph."""
        if not isinstance(data, Data):
            return self._find(data)[1:]
        if self.edge_type is not None or self.rev_edge_type is not None:
            raise ValueError(
                "'edge_type' and 'rev_edge_type' must be None for a homogeneous "
                f'Data, got {self.edge_type} and {self.rev_edge_type}'
            )
        return homogeneous_store(data), None

    def _find_sides(
        self, data: HeteroData, sides: Optional[Sequence[str]]
    ) -> tuple[str, ...]:
        r"""Return the given node types, or those of users and items."""
        check_hetero(data, type(self).__name__)
        if sides is None and (self.edge_type or self.rev_edge_type):
            edge_type, *_ = self._find(data)
            return edge_type[0], edge_type[2]
        return find_sides(data, sides)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({given_arguments(self)})'
