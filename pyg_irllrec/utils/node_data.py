"""Texts and vectors of nodes: read and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.utils.checks import check_vectors
from pyg_irllrec.utils.interactions import EdgeType, edge_store

SIDES = ('user', 'item')


def check_sides(sides: Sequence[str]) -> tuple[str, ...]:
    r"""The types of nodes as a tuple, or a :class:`ValueError` unless they are at
    least one and distinct."""
    sides = (sides,) if isinstance(sides, str) else tuple(sides)
    if not sides or len(set(sides)) < len(sides):
        raise ValueError(
            f"'sides' must be distinct types of nodes, at least one, got {sides}"
        )
    return sides


def read_texts(data: HeteroData, side: str, name: str) -> Any:
    r"""A text a node: a list, or whatever else has a length and can be iterated over.

    Raises:
        ValueError: If there are none, or not one a node.
    """
    texts, num_nodes = _read(data, side, name)
    if isinstance(texts, str) or len(texts) != num_nodes:
        raise ValueError(
            f"data['{side}'].{name} must hold a text a node, {num_nodes}, got "
            f'{"a single text" if isinstance(texts, str) else len(texts)}'
        )
    return texts


def read_vectors(data: HeteroData, side: str, name: str) -> Tensor:
    r"""A finite vector a node, in :obj:`float32`, of shape :math:`(N, D_t)`.

    Raises:
        ValueError: If there are none, or anything else.
    """
    vectors, num_nodes = _read(data, side, name)
    place = f"data['{side}'].{name}"
    if not isinstance(vectors, Tensor):
        raise ValueError(f'{place} must be a tensor, got {type(vectors).__name__}')
    check_vectors(place, vectors, num_nodes, each='a node')
    return vectors.float()


def read_ids(data: HeteroData, side: str) -> Sequence[Union[int, str]]:
    r"""The original id of each node; its number where there are none.

    Raises:
        ValueError: If there is not one a node.
    """
    size = data[side].num_nodes if side in data.node_types else None
    if size is None:
        raise ValueError(f"data['{side}'].num_nodes must be set")
    if 'id' not in data[side]:
        return range(int(size))
    ids = data[side].id
    if len(ids) != size:
        raise ValueError(
            f"data['{side}'].id must hold an id a node, {size}, got {len(ids)}"
        )
    found: Sequence[Union[int, str]] = ids.tolist() if isinstance(ids, Tensor) else ids
    return found


def check_split(data: HeteroData, edge_type: EdgeType, unsplit: bool) -> None:
    r"""Raises a :class:`ValueError` where profiles would be made of interactions that
    are held out later."""
    if not unsplit and 'val_edge_label_index' not in edge_store(data, edge_type):
        raise ValueError(
            f"'data' must hold val_edge_label_index of {edge_type}: profiles are made "
            'of training interactions, so SplitInteractions comes before; with '
            'unsplit=True they are made of all interactions'
        )


def _read(data: HeteroData, side: str, name: str) -> tuple[Any, int]:
    if side not in data.node_types or name not in data[side]:
        raise ValueError(f"'data' must hold data['{side}'].{name}, got none")
    num_nodes = data[side].num_nodes
    if num_nodes is None:
        raise ValueError(f"data['{side}'].num_nodes must be set")
    return data[side][name], int(num_nodes)
