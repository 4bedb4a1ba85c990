from __future__ import annotations

from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.typing import GraphData
from pyg_irllrec.utils.edge_store import edge_order, plain, read_edges
from pyg_irllrec.utils.select_rows import num_rows, select_rows


def select_edges(
    data: GraphData, store: Any, index: Tensor, reverse: Optional[Any] = None
) -> None:
    r"""Leaves some edges, with all that is stored of each.

    Args:
        data (Data or HeteroData): The graph, a copy of the caller's.
        store (EdgeStorage): Where the edges are stored.
        index (torch.Tensor): The numbers of the edges that stay.
        reverse (EdgeStorage, optional): Where the same edges are stored in the other
            direction; there, the same ones stay. (default: :obj:`None`)
    """
    if reverse is not None:
        _select(data, reverse, _reverse_index(data, store, reverse, index))
    _select(data, store, index)


def select_columns(edge_index: Tensor, index: Tensor) -> Tensor:
    r"""The edges of these numbers as a plain tensor."""
    return plain(edge_index).index_select(-1, index.to(edge_index.device))


def edge_attributes(data: GraphData, store: Any) -> list[str]:
    r"""The names of what holds a value per edge, beside :obj:`edge_index`."""
    num_edges = store.edge_index.size(1)
    names = [
        key
        for key, value in store.items()
        # Held-out edges may be as many as those for training.
        if key != 'edge_index' and 'edge_label' not in key
        if row_count(data, store, key, value) == num_edges
    ]
    if isinstance(data, HeteroData) or data.num_nodes != num_edges:
        return names
    # As many nodes as edges: PyG goes by the name.
    return [key for key in names if 'edge' in key or key in ('rating', 'time')]


def row_count(data: GraphData, store: Any, key: str, value: Any) -> Optional[int]:
    r"""How many rows a value has in the dimension of nodes or edges."""
    count = num_rows(value)
    if count is None or not isinstance(value, (Tensor, np.ndarray)):
        return count
    dim = data.__cat_dim__(key, value, store)
    return int(value.shape[dim]) if isinstance(dim, int) else None


def _select(data: GraphData, store: Any, index: Tensor) -> None:
    for key in edge_attributes(data, store):
        if 'index' in key:  # Edges lie in the last dimension of these, as PyG has it.
            store[key] = select_columns(store[key], index)
        else:
            store[key] = select_rows(store[key], index)
    store.edge_index = select_columns(store.edge_index, index)


def _reverse_index(data: GraphData, store: Any, reverse: Any, index: Tensor) -> Tensor:
    r"""The numbers of these edges in the reverse store, in its own order."""
    forward, backward = read_edges(store), read_edges(reverse).flip(0)
    if torch.equal(forward, backward):
        return index
    # Edges match by pair; repeats of a pair by the values that both stores hold.
    names = [
        name
        for name in edge_attributes(data, store)
        if name in edge_attributes(data, reverse)
        if isinstance(store[name], Tensor) and store[name].dim() == 1
        if isinstance(reverse[name], Tensor) and reverse[name].dim() == 1
    ]
    place = torch.empty(forward.size(1), dtype=torch.long, device=forward.device)
    place[edge_order(forward, [store[name] for name in names])] = edge_order(
        backward, [reverse[name] for name in names]
    )
    return place[index].sort().values
