r"""Find, check and read the interactions in PyG's data objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import HeteroData

from pyg_irllrec.typing import EdgeType, GraphData
from pyg_irllrec.utils.adjacency import check_edge_index, check_node_ids
from pyg_irllrec.utils.checks import check_integer, check_length

_BEFORE_SPARSE = (
    " but 'adj_t': apply ToSparseTensor last, or with remove_edge_index=False"
)


def check_hetero(data: object, name: str) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`data` is a
    :class:`~torch_geometric.data.HeteroData`."""
    if not isinstance(data, HeteroData):
        several = isinstance(data, (list, tuple))
        raise ValueError(
            f'{name} needs users and items in a HeteroData, got {type(data).__name__}'
            f'{": pass its graphs one by one" if several else ""}'
        )


def homogeneous_store(data: GraphData) -> Any:
    r"""The edge store of a homogeneous graph.

    Raises:
        ValueError: If there is no :obj:`edge_index` of shape
            :math:`(2, |\mathcal{E}|)`.
    """
    if 'edge_index' not in data:
        advice = _BEFORE_SPARSE if 'adj_t' in data else ''
        raise ValueError(f"'data' must hold 'edge_index', got none{advice}")
    check_edge_index(data.edge_index)
    return data.edge_stores[0]


def edge_store(data: HeteroData, edge_type: EdgeType) -> Any:
    r"""The store of interactions.

    Raises:
        ValueError: If there is no :obj:`edge_index` of shape
            :math:`(2, |\mathcal{E}|)`.
    """
    if edge_type not in data.edge_types:
        raise ValueError(
            f"'data' must hold 'edge_index' of {edge_type}, got edges of "
            f'{data.edge_types}'
        )
    if 'edge_index' not in data[edge_type]:
        raise ValueError(
            f"'data' must hold 'edge_index' of {edge_type}, got none"
            f'{missing_edges_advice(data, [edge_type])}'
        )
    check_edge_index(data[edge_type].edge_index, name=f'edge_index of {edge_type}')
    return data[edge_type]


def missing_edges_advice(data: HeteroData, edge_types: Sequence[EdgeType]) -> str:
    r"""The end of an error message if edges have an :obj:`adj_t` but no
    :obj:`edge_index`."""
    return _BEFORE_SPARSE if any('adj_t' in data[each] for each in edge_types) else ''


def read_edges(store: Any) -> Tensor:
    r"""The interactions as a plain tensor of :obj:`torch.long`."""
    return plain(store.edge_index).long()


def plain(edge_index: Tensor) -> Tensor:
    r"""Drop the sort order and the cache of an :class:`EdgeIndex`, which become wrong
    when edges are removed."""
    return edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index


def same_edges(one: Tensor, other: Tensor) -> bool:
    r"""Whether both hold the same edges, each equally often, in any order."""
    if one.shape != other.shape or torch.equal(one, other):
        return one.shape == other.shape
    keys = [_pair_keys(edges) for edges in (one, other)]
    if len(keys[0]) == len(keys[1]) == 1 and int(one[1].max()) == int(other[1].max()):
        return torch.equal(*(key[0].sort().values for key in keys))
    return torch.equal(*(edges[:, edge_order(edges)] for edges in (one, other)))


def find_edges(edge_index: Tensor, pairs: Tensor) -> Tensor:
    r"""Which of :obj:`pairs` are among the edges, of shape :math:`(M)`."""
    size = edge_index.size(1)
    both = torch.cat([edge_index, pairs.to(edge_index.device)], dim=1)
    keys = _pair_keys(both)
    # If pairs of ids do not fit into one number, number the distinct pairs.
    key = keys[0] if len(keys) == 1 else both.unique(dim=1, return_inverse=True)[1]
    return torch.isin(key[size:], key[:size])


def edge_order(edge_index: Tensor, values: Sequence[Tensor] = ()) -> Tensor:
    r"""The order that sorts edges by source, then target, then :obj:`values`, of which
    the last is compared first."""
    keys = _pair_keys(edge_index)
    order = _sorted_by(keys)
    pair = edge_index[:, order]
    same = (pair[:, 1:] == pair[:, :-1]).all(dim=0)
    if values and bool(same.any()):
        repeated = torch.zeros_like(order, dtype=torch.bool)
        repeated[1:] |= same
        repeated[:-1] |= same
        part = order[repeated]
        order[repeated] = part[_sorted_by([key[part] for key in (*values, *keys)])]
    return order


def _pair_keys(edge_index: Tensor) -> list[Tensor]:
    r"""The sort keys of edges, the least significant first: a single key if pairs of
    ids fit into one number."""
    source, target = edge_index
    if edge_index.numel() == 0 or int(edge_index.min()) < 0:
        return [target, source]
    size = int(target.max()) + 1
    if (int(source.max()) + 1) * size >= 2**63:
        return [target, source]
    return [source * size + target]


def _sorted_by(keys: Sequence[Tensor]) -> Tensor:
    order = keys[0].argsort(stable=True)
    for key in keys[1:]:
        order = order[key[order].argsort(stable=True)]
    return order


def read_time(store: Any, num_edges: int, required: bool = False) -> Optional[Tensor]:
    r"""The :obj:`time` of each interaction in :obj:`torch.long`, or :obj:`None` if the
    store has no times.

    Raises:
        ValueError: If times are required but missing, or are not one integer per
            interaction.
    """
    time = store.get('time')
    if time is None:
        if required:
            raise ValueError("by='time' needs the 'time' of each interaction, got none")
        return None
    check_length('time', time, num_edges)
    check_integer('time', time)
    out: Tensor = time.long()
    return out


def num_nodes(data: HeteroData, edge_type: EdgeType) -> tuple[int, int]:
    r"""The numbers of users and items.

    Raises:
        ValueError: If a number is unknown, or the ids of an edge are out of range.
    """
    edge_index = read_edges(edge_store(data, edge_type))
    sizes = []
    for node_type, row in zip((edge_type[0], edge_type[2]), edge_index):
        size = data[node_type].num_nodes if node_type in data.node_types else None
        if size is None:
            raise ValueError(f"data['{node_type}'].num_nodes must be set, got None")
        check_node_ids(row, int(size), f'edge_index of {edge_type} ({node_type})')
        sizes.append(int(size))
    return sizes[0], sizes[1]
