from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.utils.edge_store import plain
from pyg_irllrec.utils.positions import positions
from pyg_irllrec.utils.select_edges import row_count, select_edges
from pyg_irllrec.utils.select_rows import select_rows


def select_nodes(data: HeteroData, kept: dict[str, Tensor]) -> None:
    r"""Keep only the given nodes, their attributes and the edges between them, and
    renumber the nodes, in place.

    Args:
        data (HeteroData): The graph, a copy of the caller's.
        kept (dict): The sorted ids of the nodes to keep, by node type.

    Raises:
        ValueError: If the data has an attribute that would keep the old node numbers,
            such as :obj:`adj_t`.
    """
    _check_numbered(data, kept)
    for node_type, ids in kept.items():
        store = data[node_type]
        size = store.num_nodes
        for key, value in store.items():
            if key != 'num_nodes' and row_count(data, store, key, value) == size:
                store[key] = select_rows(value, ids)
        store.num_nodes = ids.numel()
    for source, relation, target in data.edge_types:
        store = data[source, relation, target]
        if not {source, target} & kept.keys() or 'edge_index' not in store:
            continue
        edge_index = plain(store.edge_index)
        renumbered = torch.stack(
            [
                positions(row, kept[side]) if side in kept else row.long()
                for side, row in zip((source, target), edge_index)
            ]
        )
        left = (renumbered >= 0).all(dim=0).nonzero().flatten()
        store.edge_index = renumbered.to(edge_index.dtype)
        select_edges(data, store, left)


def _check_numbered(data: HeteroData, kept: dict[str, Tensor]) -> None:
    for edge_type in data.edge_types:
        if not {edge_type[0], edge_type[2]} & kept.keys():
            continue
        for key in data[edge_type].keys():
            if key in ('adj', 'adj_t') or key.endswith('edge_label_index'):
                raise ValueError(
                    f"'data' must not hold '{key}' of {edge_type}, which would keep "
                    'the old node numbers: create it after nodes are removed, or '
                    f'delete data[{edge_type}].{key}'
                )
