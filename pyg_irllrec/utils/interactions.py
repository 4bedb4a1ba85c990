"""Users, items and interactions in PyG's data objects: read, checked, put in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import Data, HeteroData

from pyg_irllrec.utils.adjacency import check_edge_index, check_node_ids
from pyg_irllrec.utils.checks import check_integer
from pyg_irllrec.utils.select_rows import num_rows, select_rows

EdgeType = tuple[str, str, str]
GraphData = Union[Data, HeteroData]
Ids = Union[Tensor, Sequence[str]]
IntArray = npt.NDArray[np.int64]

RATES: EdgeType = ('user', 'rates', 'item')


def check_edge_type(edge_type: EdgeType) -> EdgeType:
    r"""The type as a tuple, or a :class:`ValueError` unless it joins nodes of two
    types."""
    edge_type = tuple(edge_type)  # type: ignore[assignment]
    if len(edge_type) != 3 or edge_type[0] == edge_type[2]:
        raise ValueError(
            "'edge_type' must be (source, relation, target) with two types of nodes, "
            f'got {edge_type}'
        )
    return edge_type


def check_hetero(data: object, transform: str) -> None:
    r"""Raises a :class:`ValueError` unless users and items are told apart."""
    if not isinstance(data, HeteroData):
        raise ValueError(
            f'{transform} needs users and items, a HeteroData, got '
            f'{type(data).__name__}'
        )


def edge_store(data: GraphData, edge_type: EdgeType) -> Any:
    r"""Where the interactions are stored: all of a homogeneous graph is in one store.

    Raises:
        ValueError: If there is no :obj:`edge_index` of shape
            :math:`(2, |\mathcal{E}|)`.
    """
    if not isinstance(data, HeteroData):
        if 'edge_index' not in data:
            raise ValueError("'data' must hold 'edge_index', got none")
        check_edge_index(data.edge_index)
        return data.edge_stores[0]
    if edge_type not in data.edge_types or 'edge_index' not in data[edge_type]:
        raise ValueError(
            f"'data' must hold 'edge_index' of {edge_type}, got edges of "
            f'{data.edge_types}'
        )
    check_edge_index(data[edge_type].edge_index, name=f'edge_index of {edge_type}')
    return data[edge_type]


def read_edges(store: Any) -> Tensor:
    r"""The interactions as a plain tensor of :obj:`torch.long`."""
    return _plain(store.edge_index).long()


def num_nodes(data: HeteroData, edge_type: EdgeType) -> tuple[int, int]:
    r"""How many users and items there are.

    Raises:
        ValueError: If that is not said, or edges name other nodes.
    """
    edge_index = read_edges(edge_store(data, edge_type))
    sizes = []
    for node_type, row in zip((edge_type[0], edge_type[2]), edge_index):
        size = data[node_type].num_nodes if node_type in data.node_types else None
        if size is None:
            raise ValueError(f"data['{node_type}'].num_nodes must be set")
        check_node_ids(row, int(size), f'edge_index of {edge_type} ({node_type})')
        sizes.append(int(size))
    return sizes[0], sizes[1]


def check_comes_first(data: GraphData, edge_type: EdgeType, transform: str) -> None:
    r"""Raises a :class:`ValueError` where interactions were already turned into
    something that would go on holding those which :obj:`transform` removes."""
    store = edge_store(data, edge_type)
    found = [f"'{key}'" for key in ('adj', 'adj_t') if key in store]
    if isinstance(data, HeteroData):
        source, _, target = edge_type
        found += [
            f'edges of {other}'
            for other in data.edge_types
            if (other[0], other[2]) == (target, source)
        ]
        for key in ('edge_index', 'adj', 'adj_t'):
            if key in data._global_store:
                found.append(f"'data.{key}'")
    if found:
        raise ValueError(
            f'{transform} must come before what is made of interactions (such as '
            f'ToUndirected or SymmetricAdjacency), got {", ".join(found)}'
        )


def check_before_split(data: GraphData, edge_type: EdgeType, transform: str) -> None:
    r"""Raises a :class:`ValueError` where interactions were already split."""
    for store in data.edge_stores:
        for key in store.keys():
            if 'edge_label' in key or key in ('adj', 'adj_t'):
                raise ValueError(
                    f'{transform} must come before SplitInteractions and '
                    f"ToSparseTensor, got '{key}'"
                )
    check_comes_first(data, edge_type, transform)


def edge_attributes(data: GraphData, store: Any) -> list[str]:
    r"""What holds a value an edge, beside :obj:`edge_index`."""
    num_edges = store.edge_index.size(1)
    names = [
        key
        for key, value in store.items()
        # Held-out edges may be as many as those for training.
        if key != 'edge_index' and 'edge_label' not in key
        if _length(data, store, key, value) == num_edges
    ]
    if isinstance(data, HeteroData) or data.num_nodes != num_edges:
        return names
    # As many nodes as edges: PyG goes by the name.
    return [key for key in names if 'edge' in key or key in ('rating', 'time')]


def select_edges(data: GraphData, store: Any, index: Tensor) -> None:
    r"""Leaves the edges of these numbers, with all that is stored of each."""
    for key in edge_attributes(data, store):
        if 'index' in key:  # Edges lie in the last dimension of these, as PyG has it.
            store[key] = select_columns(store[key], index)
        else:
            store[key] = select_rows(store[key], index)
    store.edge_index = select_columns(store.edge_index, index)


def select_columns(edge_index: Tensor, index: Tensor) -> Tensor:
    r"""The edges of these numbers as a plain tensor."""
    return _plain(edge_index).index_select(-1, index.to(edge_index.device))


def select_nodes(data: HeteroData, kept: dict[str, Tensor]) -> None:
    r"""Leaves the nodes of these ids, sorted, with all that is stored of each, and
    renumbers them; edges of others go.

    Args:
        data (HeteroData): The graph, a copy of the caller's.
        kept (dict): The ids by type of node.
    """
    for node_type, ids in kept.items():
        store = data[node_type]
        size = store.num_nodes
        for key, value in store.items():
            if key != 'num_nodes' and _length(data, store, key, value) == size:
                store[key] = select_rows(value, ids)
        store.num_nodes = ids.numel()
    for source, relation, target in data.edge_types:
        store = data[source, relation, target]
        if not {source, target} & kept.keys() or 'edge_index' not in store:
            continue
        edge_index = _plain(store.edge_index)
        renumbered = torch.stack(
            [
                positions(row, kept[side]) if side in kept else row.long()
                for side, row in zip((source, target), edge_index)
            ]
        )
        left = (renumbered >= 0).all(dim=0).nonzero().flatten()
        store.edge_index = renumbered.to(edge_index.dtype)
        select_edges(data, store, left)


def order_interactions(
    group: IntArray,
    other: IntArray,
    num_other: int,
    time: Optional[IntArray] = None,
    chance: Optional[IntArray] = None,
) -> IntArray:
    r"""The numbers of interactions, group by group, each pair once: the newest or the
    luckiest first, where that is given, then those with whom the fewest interactions
    are, who say the most, then by node.

    Args:
        group (numpy.ndarray): The node whose interactions are ordered.
        other (numpy.ndarray): The node it interacted with.
        num_other (int): How many of those there are.
        time (numpy.ndarray, optional): When. (default: :obj:`None`)
        chance (numpy.ndarray, optional): A draw each. (default: :obj:`None`)
    """
    rank = np.empty(num_other, np.int64)
    degree = np.bincount(other, minlength=num_other)
    rank[degree.argsort(kind='stable')] = np.arange(num_other)
    keys = [rank[other], group]
    if time is not None:
        keys.insert(1, -time)
    if chance is not None:
        keys.insert(1, chance)
    order = np.lexsort(keys)
    pair = group[order] * num_other + other[order]
    _, first = np.unique(pair, return_index=True)
    first.sort()
    return order[first]


def positions(index: Tensor, ids: Tensor) -> Tensor:
    r"""The place of each of :obj:`index` in :obj:`ids`, which are sorted and
    distinct, or -1 where it is not among them."""
    if ids.numel() == 0:
        return torch.full_like(index, -1, dtype=torch.long)
    ids, index = ids.long(), index.long()
    first, last = int(ids[0]), int(ids[-1])
    if last - first > 8 * (ids.numel() + index.numel()):
        at = torch.searchsorted(ids, index).clamp(max=ids.numel() - 1)
        return at.where(ids[at] == index, -1)
    # Ids that lie close together fit into a table, which is ten times as fast.
    table = torch.full((last - first + 1,), -1, device=ids.device)
    table[ids - first] = torch.arange(ids.numel(), device=ids.device)
    inside = index.clamp(first, last)
    return table[inside - first].where(inside == index, -1)


def ids_to_nodes(ids: Ids, wanted: Ids) -> Tensor:
    r"""The node numbers of original ids.

    Args:
        ids (torch.Tensor or sequence of str): The original id of each node, as in
            :obj:`data['user'].id`, of shape :math:`(N)`.
        wanted (torch.Tensor or sequence of str): Some of them, of shape :math:`(M)`.

    Raises:
        ValueError: If an id is unknown, or ids are numbers on one side and texts on
            the other.
    """
    if isinstance(ids, Tensor):
        if not isinstance(wanted, Tensor):
            raise ValueError(
                f"'wanted' must be a tensor, as 'ids' is, got {type(wanted).__name__}"
            )
        check_integer('wanted', wanted)
        value, order = ids.sort()
        at = positions(wanted.to(ids.device), value)
        node = order[at].where(at >= 0, -1) if ids.numel() > 0 else at
    else:
        row = {key: node for node, key in enumerate(ids)}
        node = torch.tensor([row.get(key, -1) for key in wanted], dtype=torch.long)
    unknown = (node < 0).nonzero().flatten().tolist()
    if unknown:
        first: Any = wanted[unknown[0]]
        first = int(first) if isinstance(first, Tensor) else first
        raise ValueError(
            f"'wanted' must hold ids that are there, got {len(unknown)} of "
            f'{len(wanted)} that are not (first: {first!r})'
        )
    return node


def _plain(edge_index: Tensor) -> Tensor:
    r"""Without the order and the cache of an :class:`EdgeIndex`, which do not hold any
    more once edges go."""
    return edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index


def _length(data: GraphData, store: Any, key: str, value: Any) -> Optional[int]:
    r"""How many rows a value has in the dimension of nodes or edges."""
    count = num_rows(value)
    if count is None or not isinstance(value, (Tensor, np.ndarray)):
        return count
    dim = data.__cat_dim__(key, value, store)
    return int(value.shape[dim]) if isinstance(dim, int) else None
