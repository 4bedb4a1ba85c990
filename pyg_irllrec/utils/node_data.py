"""Texts and vectors of nodes: read and checked."""

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
    r"""The types of nodes that are given, or those of users and of items, found by the
    interactions.

    Raises:
        ValueError: If none are given and there are no interactions to find them by.
    """
    if sides is not None:
        return check_sides(sides)
    try:
        source, _, target = find_edge_type(data)
    except ValueError as error:
        raise ValueError(
            f"'sides' must name the types of users and items, such as {SIDES}, as they "
            f'are not found by the interactions: {error}'
        ) from None
    return source, target


def check_sides(sides: Sequence[str]) -> tuple[str, ...]:
    r"""The types of nodes as a tuple, or a :class:`ValueError` unless they are at
    least one and distinct."""
    sides = as_names('sides', sides)
    if not sides or len(set(sides)) < len(sides):
        raise ValueError(
            f"'sides' must be distinct types of nodes, at least one, got {sides}"
        )
    return sides


def read_texts(data: HeteroData, side: str, name: str) -> Any:
    r"""A text per node: a list, or whatever else has a length and can be iterated over.

    Raises:
        ValueError: If there are none, or not one per node.
    """
    texts, num_nodes = _read(data, side, name)
    if isinstance(texts, str) or len(texts) != num_nodes:
        raise ValueError(
            f"data['{side}'].{name} must hold a text per node, {num_nodes}, got "
            f'{"a single text" if isinstance(texts, str) else len(texts)}'
        )
    return texts


def read_vectors(data: HeteroData, side: str, name: str) -> Tensor:
    r"""A finite vector per node, in :obj:`float32`, of shape :math:`(N, D_t)`.

    Raises:
        ValueError: If there are none, or anything else.
    """
    vectors, num_nodes = _read(data, side, name)
    place = f"data['{side}'].{name}"
    if not isinstance(vectors, Tensor):
        raise ValueError(f'{place} must be a tensor, got {type(vectors).__name__}')
    check_vectors(place, vectors, num_nodes, each='per node')
    return vectors.float()


def read_num_nodes(data: HeteroData, side: str) -> int:
    r"""How many nodes there are of a type.

    Raises:
        ValueError: If there is no such type, or their number is unknown.
    """
    ends = {side for source, _, target in data.edge_types for side in (source, target)}
    if side not in data.node_types and side not in ends:
        known = ', '.join(map(repr, data.node_types)) or 'none'
        raise ValueError(
            f"'data' must hold nodes of type {side!r}, got nodes of the types {known}"
        )
    size = data[side].num_nodes if side in data.node_types else None
    if size is None:
        raise ValueError(f"data['{side}'].num_nodes must be set")
    return int(size)


def read_ids(data: HeteroData, side: str) -> Sequence[NodeId]:
    r"""The original id of each node; its number where there are none.

    Raises:
        ValueError: If there is not one per node.
    """
    size = read_num_nodes(data, side)
    if 'id' not in data[side]:
        return range(size)
    ids = data[side].id
    if len(ids) != size:
        raise ValueError(
            f"data['{side}'].id must hold an id per node, {size}, got {len(ids)}"
        )
    found: Sequence[NodeId] = ids.tolist() if isinstance(ids, Tensor) else ids
    return found


def check_split(data: HeteroData, edge_type: EdgeType, unsplit: bool) -> None:
    r"""Raise a :class:`ValueError` where profiles would be made of interactions that
    are held out later."""
    check_flag('unsplit', unsplit)
    layout = split_layout(edge_store(data, edge_type))
    if not unsplit and layout is SplitLayout.UNSPLIT:
        raise ValueError(
            f"'data' must hold a split of {edge_type}, as texts and profiles are made "
            'of training interactions: apply SplitInteractions or RandomLinkSplit '
            'before, or take all interactions with unsplit=True'
        )


def _read(data: HeteroData, side: str, name: str) -> tuple[Any, int]:
    num_nodes = read_num_nodes(data, side)
    if name not in data[side]:
        raise ValueError(f"'data' must hold data['{side}'].{name}, got none")
    return data[side][name], num_nodes
