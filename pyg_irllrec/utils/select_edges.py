from __future__ import annotations

from collections.abc import Sequence
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
    r"""Keep only the given edges and their attributes, in place.

    Args:
        data (Data or HeteroData): The graph, a copy of the caller's.
        store (EdgeStorage): The store of the edges.
        index (torch.Tensor): The positions of the edges to keep.
        reverse (EdgeStorage, optional): The store of the same edges in the other
            direction, in which the same edges are kept. (default: :obj:`None`)
    """
    if reverse is not None:
        _select(data, reverse, _reverse_index(data, store, reverse, index))
    _select(data, store, index)


def select_columns(edge_index: Tensor, index: Tensor) -> Tensor:
    r"""The edges at these positions as a plain tensor."""
    return plain(edge_index).index_select(-1, index.to(edge_index.device))


def edge_attributes(data: GraphData, store: Any) -> list[str]:
    r"""The names of the attributes with one value per edge, except
    :obj:`edge_index`."""
    num_edges = store.edge_index.size(1)
    names = [
        key
        for key, value in store.items()
        # There may be as many held-out edges as training edges.
        if key != 'edge_index' and not _is_held_out(store, key)
        if row_count(data, store, key, value) == num_edges
    ]
    if isinstance(data, HeteroData) or data.num_nodes != num_edges:
        return names
    # With as many nodes as edges, only the name identifies edge attributes, as in PyG.
    return [key for key in names if 'edge' in key or key in ('rating', 'time')]


def _is_held_out(store: Any, key: str) -> bool:
    r"""Whether a key describes edges other than those in :obj:`edge_index`. Labels such
    as :obj:`edge_label` do so only if there is an :obj:`edge_label_index`."""
    return 'edge_label' in key and (key.endswith('_index') or f'{key}_index' in store)


def row_count(data: GraphData, store: Any, key: str, value: Any) -> Optional[int]:
    r"""The size of a value in the dimension of nodes or edges."""
    count = num_rows(value)
    if count is None or not isinstance(value, (Tensor, np.ndarray)):
        return count
    dim = data.__cat_dim__(key, value, store)
    return int(value.shape[dim]) if isinstance(dim, int) else None


def _select(data: GraphData, store: Any, index: Tensor) -> None:
    for key in edge_attributes(data, store):
        value = store[key]
        # In PyG, edges are the last dimension of an index.
        if 'index' in key and isinstance(value, Tensor):
            store[key] = select_columns(value, index)
        elif 'index' in key and isinstance(value, np.ndarray):
            store[key] = value.take(index.cpu().numpy(), axis=-1)
        else:
            store[key] = select_rows(value, index)
    store.edge_index = select_columns(store.edge_index, index)


def _reverse_index(data: GraphData, store: Any, reverse: Any, index: Tensor) -> Tensor:
    r"""The positions of these edges in the reverse store, in its own order."""
    forward, backward = read_edges(store), read_edges(reverse).flip(0)
    if torch.equal(forward, backward):
        return index
    # Match edges by pair, and repeats of a pair by the attributes of both stores.
    keys: tuple[list[Tensor], list[Tensor]] = [], []
    names = set(edge_attributes(data, reverse))
    for name in edge_attributes(data, store):
        if name in names:
            columns = [_columns(name, each[name]) for each in (store, reverse)]
            if len(columns[0]) == len(columns[1]):
                keys[0].extend(columns[0])
                keys[1].extend(columns[1])
    place = torch.empty(forward.size(1), dtype=torch.long, device=forward.device)
    place[edge_order(forward, keys[0])] = edge_order(backward, keys[1])
    return place[index].sort().values


def _columns(name: str, value: Any) -> Sequence[Tensor]:
    r"""The columns of a numeric edge attribute, each of shape
    :math:`(|\mathcal{E}|)`."""
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        value = torch.from_numpy(value)
    if not isinstance(value, Tensor):
        return ()
    if 'index' in name:
        return value.reshape(-1, value.size(-1)).unbind(0)
    return value.reshape(value.size(0), -1).unbind(1)
