from __future__ import annotations

from typing import Any

import torch
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.transforms._check_order import check_unsplit
from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.utils.adjacency import check_node_ids
from pyg_irllrec.utils.edge_store import read_edges
from pyg_irllrec.utils.select_nodes import select_nodes
from pyg_irllrec.utils.select_rows import num_rows


@functional_transform('irllrec_remap_ids')
class RemapIds(InteractionTransform):
    r"""Number users and items from 0, without gaps, and keep their ids (functional
    name: :obj:`irllrec_remap_ids`).

    - If there is neither :obj:`data['user'].id` nor another attribute with one row per
      user, the users in :obj:`edge_index` are original ids: any integers. The distinct
      ones, in ascending order, become :obj:`data['user'].id`, and their positions the
      new numbers; :obj:`num_nodes` is set.
    - If there is no :obj:`data['user'].id`, but another attribute such as
      :obj:`data['user'].x`, the users in :obj:`edge_index` are the indices of its rows,
      and become the ids.
    - If there is :obj:`data['user'].id`, :obj:`edge_index` holds positions in it.

    In the last two cases, users without interactions are removed with their attributes;
    the others keep their order. The same holds for items. Edges of other types are
    renumbered, and removed if one of their nodes is.

    Args:
        edge_type (tuple, optional): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found the same way)

    Raises:
        ValueError: If there are no interactions, the attributes of nodes without
            :obj:`id` differ in length, an edge has a node without an id, interactions
            are already split, or something was already derived from them.

    Example:
        >>> import torch
        >>> from torch_geometric.data import HeteroData
        >>> from pyg_irllrec.transforms import RemapIds
        >>> data = HeteroData()
        >>> edge_index = torch.tensor([[70, 12, 70], [5, 5, 9]])
        >>> data['user', 'rates', 'item'].edge_index = edge_index
        >>> data = RemapIds()(data)
        >>> data['rates'].edge_index
        tensor([[1, 0, 1],
                [0, 0, 1]])
        >>> data['user'].id, data['item'].id
        (tensor([12, 70]), tensor([5, 9]))
    """

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The graph with new numbers."""
        edge_type, rates, reverse = self._find(data)
        check_unsplit(data, rates, reverse, type(self).__name__)
        edge_index = read_edges(rates)
        if edge_index.size(1) == 0:
            raise ValueError("'edge_index' must hold at least one edge, got none")
        sides = dict(zip((edge_type[0], edge_type[2]), edge_index))
        for side in sides:
            if 'id' not in data[side] and _has_rows(data[side]):
                data[side].id = torch.arange(_num_rows(side, data[side]))
        raw = [side for side in sides if 'id' not in data[side]]
        for side, row in sides.items():
            store = data[side]
            if side not in raw:
                check_node_ids(row, len(store.id), f'edge_index ({side})')
            store.num_nodes = 0 if side in raw else len(store.id)
        kept = {side: row.unique() for side, row in sides.items()}
        select_nodes(data, kept)
        for side in raw:
            data[side].id = kept[side]
        return data


def _has_rows(store: Any) -> bool:
    return any(num_rows(value) is not None for value in store.values())


def _num_rows(side: str, store: Any) -> int:
    r"""The number of nodes, by the rows of their attributes."""
    rows = [(key, num_rows(value)) for key, value in store.items()]
    found = {key: count for key, count in rows if count is not None}
    if len(set(found.values())) > 1:
        counts = ', '.join(f'{count} rows of {key!r}' for key, count in found.items())
        raise ValueError(
            f"data['{side}'] must hold 'id', the original id of each node, because its "
            f'attributes differ in length: {counts}'
        )
    return next(iter(found.values()))
