r"""Read and check the ids, texts and vectors of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.typing import SIDES, EdgeType, NodeId
from pyg_irllrec.utils.argument_checks import as_names, check_flag
from pyg_irllrec.utils.checks import check_vectors
from pyg_irllrec.utils.edge_store import edge_store
from pyg_irllrec.utils.interaction_types import find_edge_type
from pyg_irllrec.utils.split_layout import SplitLayout, split_layout


def find_sides(data: HeteroData, sides: Optional[Sequence[str]]) -> tuple[str, ...]:
    r"""The given node types or, if :obj:`None`, those of users and items, found from
    the interactions.

    Raises:
        ValueError: If no types are given and the interactions are not found.
    """
    if sides is not None:
        return check_sides(sides)
    try:
        source, _, target = find_edge_type(data)
    except ValueError as error:
        raise ValueError(
            f"'sides' must name the node types of users and items, such as {SIDES}, "
            f'because the interactions do not identify them: {error}'
        ) from None
    return source, target


def check_sides(sides: Sequence[str]) -> tuple[str, ...]:
    r"""Return the node types as a tuple. Raise a :class:`ValueError` unless there is at
    least one and all are distinct."""
    sides = as_names('sides', sides)
    if not sides or len(set(sides)) < len(sides):
        raise ValueError(
            f"'sides' must be at least one node type, all distinct, got {sides}"
        )
    return sides


def read_texts(data: HeteroData, side: str, name: str) -> Any:
    r"""The texts of the nodes: a list, or another iterable with a length.

    Raises:
        ValueError: If there are no texts, or not one per node.
    """
    texts, num_nodes = _read(data, side, name)
    if isinstance(texts, str) or len(texts) != num_nodes:
        raise ValueError(
            f"data['{side}'].{name} must hold one text per node, {num_nodes}, got "
            f'{"a single text" if isinstance(texts, str) else len(texts)}'
        )
    return texts


def read_vectors(data: HeteroData, side: str, name: str) -> Tensor:
    r"""The vectors of the nodes in :obj:`float32`, of shape :math:`(N, D_t)`.

    Raises:
        ValueError: If there are no vectors, or not one finite vector per node.
    """
    vectors, num_nodes = _read(data, side, name)
    place = f"data['{side}'].{name}"
    if not isinstance(vectors, Tensor):
        raise ValueError(f'{place} must be a tensor, got {type(vectors).__name__}')
    check_vectors(place, vectors, num_nodes, each='per node')
    return vectors.float()


def read_num_nodes(data: HeteroData, side: str) -> int:
    r"""The number of nodes of a type.

    Raises:
        ValueError: If there is no such type, or its number of nodes is unknown.
    """
    ends = {side for source, _, target in data.edge_types for side in (source, target)}
    if side not in data.node_types and side not in ends:
        known = ', '.join(map(repr, data.node_types)) or 'none'
        raise ValueError(
            f"'data' must hold nodes of type {side!r}, got node types {known}"
        )
    size = data[side].num_nodes if side in data.node_types else None
    if size is None:
        raise ValueError(f"data['{side}'].num_nodes must be set, got None")
    return int(size)


def read_ids(data: HeteroData, side: str) -> Sequence[NodeId]:
    r"""The original id of each node, or its number if the nodes have no ids.

    Raises:
        ValueError: If there is not one id per node.
    """
    size = read_num_nodes(data, side)
    if 'id' not in data[side]:
        return range(size)
    ids = data[side].id
    if len(ids) != size:
        raise ValueError(
            f"data['{side}'].id must hold one id per node, {size}, got {len(ids)}"
        )
    found: Sequence[NodeId] = ids.tolist() if isinstance(ids, Tensor) else ids
    return found


def check_split(data: HeteroData, edge_type: EdgeType, unsplit: bool) -> None:
    r"""Raise a :class:`ValueError` if profiles would be made of interactions that a
    later split could hold out."""
    check_flag('unsplit', unsplit)
    layout = split_layout(edge_store(data, edge_type))
    if not unsplit and layout is SplitLayout.UNSPLIT:
        raise ValueError(
            f"'data' must hold a split of {edge_type}, because texts and profiles are "
            'made of training interactions: apply SplitInteractions or RandomLinkSplit '
            'first, or use all interactions with unsplit=True'
        )


def _read(data: HeteroData, side: str, name: str) -> tuple[Any, int]:
    num_nodes = read_num_nodes(data, side)
    if name not in data[side]:
        raise ValueError(f"'data' must hold data['{side}'].{name}, got none")
    return data[side][name], num_nodes
