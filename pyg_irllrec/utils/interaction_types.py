from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.typing import INTENT, EdgeType
from pyg_irllrec.utils.edge_store import (
    check_hetero,
    edge_store,
    find_edges,
    missing_edges_advice,
    read_edges,
    same_edges,
)

_MARKS = (
    'edge_label_index',
    'pos_edge_label_index',
    'val_edge_label_index',
    'test_edge_label_index',
    'rating',
)


class InteractionTypes(NamedTuple):
    r"""The edge types of interactions."""

    edge_type: EdgeType
    """From users to items."""
    rev_edge_type: Optional[EdgeType]
    """From items to users, where the data holds interactions in this direction too."""


def find_interaction_types(
    data: HeteroData,
    edge_type: Optional[EdgeType] = None,
    rev_edge_type: Optional[EdgeType] = None,
) -> InteractionTypes:
    r"""Find the interactions of a graph, whatever its node types are called.

    Interactions are the only edge type with an :obj:`edge_index` between two node
    types, or the only two that are each other's reverse, beside the edges of intents
    that :class:`~pyg_irllrec.transforms.IntentNodes` makes. Of these two, the one from
    users to items

    1. starts at :obj:`"user"`,
    2. or else has the relation :obj:`r` where that of the other is :obj:`"rev_" + r`,
       as :class:`~torch_geometric.transforms.ToUndirected` has it,
    3. or else is the only one with held-out interactions or a :obj:`rating`.

    The reverse of an edge type that is given has the relation :obj:`"rev_" + r`, or is
    the only edge type from items to users that holds the same interactions; others are
    left alone.

    Args:
        data (HeteroData): The graph.
        edge_type (tuple, optional): The edge type from users to items.
            (default: :obj:`None`, found as above)
        rev_edge_type (tuple, optional): The edge type of the same interactions from
            items to users. (default: :obj:`None`, found as above)

    Returns:
        The edge type, and its reverse or :obj:`None`.

    Raises:
        ValueError: If there are no interactions, several edge types may be meant, an
            edge type that is given is not there, or the reverse holds other
            interactions.
    """
    check_hetero(data, 'find_interaction_types')
    given = edge_type is not None
    edge_type = find_edge_type(data) if edge_type is None else edge_type
    edge_type = check_edge_type(edge_type)
    forward = read_edges(edge_store(data, edge_type))
    if rev_edge_type is None:
        rev_edge_type = _find_reverse(data, edge_type, forward if given else None)
    if rev_edge_type is None:
        return InteractionTypes(edge_type, None)
    rev_edge_type = check_edge_type(rev_edge_type, 'rev_edge_type')
    if (rev_edge_type[2], rev_edge_type[0]) != (edge_type[0], edge_type[2]):
        raise ValueError(
            f"'rev_edge_type' must lead from '{edge_type[2]}' to '{edge_type[0]}', the "
            f'reverse of {edge_type}, got {rev_edge_type}'
        )
    backward = read_edges(edge_store(data, rev_edge_type))
    if not same_edges(forward, backward.flip(0)):
        raise ValueError(
            f'{rev_edge_type} must hold the {forward.size(1)} interactions of '
            f'{edge_type} in reverse, got {backward.size(1)} that are not the same: '
            'give both edge types to the transform that changed one of them (such as '
            'RandomLinkSplit(edge_types=..., rev_edge_types=...)), or delete '
            f'data[{rev_edge_type}]'
        )
    return InteractionTypes(edge_type, rev_edge_type)


def find_edge_type(data: HeteroData) -> EdgeType:
    r"""The edge type from users to items alone: see
    :func:`find_interaction_types`."""
    found: list[EdgeType] = [
        edge_type
        for edge_type in data.edge_types
        if edge_type[0] != edge_type[2] and 'edge_index' in data[edge_type]
    ]
    found = [each for each in found if INTENT not in (each[0], each[2])] or found
    if not found:
        raise ValueError(
            "'data' must hold an 'edge_index' from users to items, two types of nodes, "
            f'got edges of {data.edge_types}'
            f'{missing_edges_advice(data, data.edge_types)}'
        )
    if len(found) == 1:
        if found[0][2] == 'user':
            raise ValueError(
                "'edge_type' must lead from users to items, but the only edge type of "
                f"'data' leads to 'user', {found[0]}: pass it as edge_type=... if its "
                "sources are the users, or flip its 'edge_index'"
            )
        return found[0]
    one, other = found[:2]
    if len(found) > 2 or (one[0], one[2]) != (other[2], other[0]):
        raise ValueError(
            "'edge_type' must name the interactions, as 'data' holds several edge "
            f'types between two types of nodes: {", ".join(map(str, found))}: pass one '
            'as edge_type=...'
        )
    for first in found:
        if first[0] == 'user':
            return first
    for first, second in ((one, other), (other, one)):
        if second[1] == f'rev_{first[1]}':
            return first
    marked = [each for each in found if any(mark in data[each] for mark in _MARKS)]
    if len(marked) == 1:
        return marked[0]
    raise ValueError(
        "'edge_type' must name the direction from users to items, as 'data' holds "
        f'both: pass {one} or {other} as edge_type=...'
    )


def check_edge_type(edge_type: object, name: str = 'edge_type') -> EdgeType:
    r"""The type as a tuple, or a :class:`ValueError` unless it joins nodes of two
    types."""
    parts = tuple(edge_type) if isinstance(edge_type, (tuple, list)) else ()
    names = all(isinstance(part, str) for part in parts)
    if len(parts) != 3 or not names or parts[0] == parts[2]:
        raise ValueError(
            f"'{name}' must be (source, relation, target) with two types of nodes, "
            f"such as ('user', 'rates', 'item'), got {edge_type!r}"
        )
    return parts


def _find_reverse(
    data: HeteroData, edge_type: EdgeType, forward: Optional[Tensor]
) -> Optional[EdgeType]:
    r"""The reverse of an edge type. With the edges of one that was given, only a
    reverse that holds them, or has its name, is meant."""
    source, relation, target = edge_type
    found = [
        each
        for each in data.edge_types
        if (each[0], each[2]) == (target, source) and 'edge_index' in data[each]
    ]
    named = (target, f'rev_{relation}', source)
    if named in found:
        return named
    if forward is not None:
        found = [each for each in found if _holds(data, each, forward)]
    if len(found) < 2:
        return next(iter(found), None)
    raise ValueError(
        f"'rev_edge_type' must name the reverse of {edge_type}, as 'data' holds "
        f"several edge types from '{target}' to '{source}': "
        f'{", ".join(map(str, found))}: pass one as rev_edge_type=...'
    )


def _holds(data: HeteroData, edge_type: EdgeType, forward: Tensor) -> bool:
    r"""Whether the type holds these edges in reverse, and maybe more."""
    backward = read_edges(edge_store(data, edge_type)).flip(0)
    if forward.size(1) == 0 or torch.equal(forward, backward):
        return backward.size(1) == forward.size(1)
    return bool(find_edges(backward, forward).all())
