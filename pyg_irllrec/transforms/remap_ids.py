from __future__ import annotations

from typing import Any

from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_irllrec.utils.adjacency import check_node_ids
from pyg_irllrec.utils.interactions import (
    RATES,
    EdgeType,
    check_before_split,
    check_edge_type,
    check_hetero,
    edge_store,
    read_edges,
    select_nodes,
)
from pyg_irllrec.utils.select_rows import num_rows


@functional_transform('irllrec_remap_ids')
class RemapIds(BaseTransform):
    r"""Numbers users and items from zero, without gaps, and keeps the ids that they
    had (functional name: :obj:`irllrec_remap_ids`).

    - Without :obj:`data['user'].id`, the users in :obj:`edge_index` are original ids,
      any integers. Those that occur, in ascending order, become
      :obj:`data['user'].id`, and their places in it the new numbers;
      :obj:`num_nodes` is set.
    - With it, :obj:`edge_index` holds places in :obj:`data['user'].id`. Users without
      any interaction are removed, with all that is stored of them; the others keep
      their order and their ids.

    The same goes for items. Edges of other types follow, and go where one of their
    nodes has no interaction.

    Args:
        edge_type (tuple): The type of the interactions.
            (default: :obj:`('user', 'rates', 'item')`)

    Raises:
        ValueError: If there are no interactions, rows of nodes are stored without
            :obj:`id` that would say whose they are, edges name nodes without an id,
            interactions are already split, or something was already made of them.
    """

    def __init__(self, edge_type: EdgeType = RATES) -> None:
        self.edge_type = check_edge_type(edge_type)

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The graph with new numbers."""
        check_hetero(data, type(self).__name__)
        check_before_split(data, self.edge_type, type(self).__name__)
        edge_index = read_edges(edge_store(data, self.edge_type))
        if edge_index.size(1) == 0:
            raise ValueError("'edge_index' must hold at least one edge, got none")
        sides = dict(zip((self.edge_type[0], self.edge_type[2]), edge_index))
        raw = [side for side in sides if 'id' not in data[side]]
        for side, row in sides.items():
            store = data[side]
            if side in raw:
                _check_no_rows(side, store)
            else:
                check_node_ids(row, len(store.id), f'edge_index ({side})')
            store.num_nodes = 0 if side in raw else len(store.id)
        kept = {side: row.unique() for side, row in sides.items()}
        select_nodes(data, kept)
        for side in raw:
            data[side].id = kept[side]
        return data


def _check_no_rows(side: str, store: Any) -> None:
    rows = [key for key, value in store.items() if num_rows(value) is not None]
    if rows:
        raise ValueError(
            f"data['{side}'] must hold 'id', the original id of each row of "
            f'{", ".join(map(repr, rows))}, got none'
        )
