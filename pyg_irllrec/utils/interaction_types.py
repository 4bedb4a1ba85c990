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
    r"""The edge types of the interactions of a graph, as
    :func:`~pyg_irllrec.utils.find_interaction_types` returns them.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.utils import find_interaction_types
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> types = find_interaction_types(data)
        >>> types.edge_type
        ('user', 'rates', 'item')
    """

    edge_type: EdgeType
    """The edge type from users to items."""
    rev_edge_type: Optional[EdgeType]
    """The edge type from items to users, or :obj:`None` if the data has no reverse
    edges."""


def find_interaction_types(
    data: HeteroData,
    edge_type: Optional[EdgeType] = None,
    rev_edge_type: Optional[EdgeType] = None,
) -> InteractionTypes:
    r"""Find the interactions of a graph, no matter how its node types are named.

    The graph must have exactly one edge type with an :obj:`edge_index` between two node
    types, or two that are each other's reverse. Edges of the intents that
    :class:`~pyg_irllrec.transforms.IntentNodes` adds do not count. Of two edge types,
    the one from users to items is the one that

    1. starts at :obj:`"user"`,
    2. or else has the relation :obj:`r` if the other relation is :obj:`"rev_" + r`, as
       named by :class:`~torch_geometric.transforms.ToUndirected`,
    3. or else is the only one with held-out interactions or a :obj:`rating`.

    The reverse of a given edge type has the relation :obj:`"rev_" + r`, or else is the
    only edge type from items to users that holds the same interactions.

    Args:
        data (HeteroData): The graph.
        edge_type (tuple, optional): The edge type from users to items.
            (default: :obj:`None`, found as above)
        rev_edge_type (tuple, optional): The edge type of the same interactions from
            items to users. (default: :obj:`None`, found as above)

    Returns:
        The edge type, and its reverse or :obj:`None`.

    Raises:
        ValueError: If there are no interactions, the choice between edge types is
            ambiguous, a given edge type is missing, or the interactions of the reverse
            differ.

    Example:
        >>> import torch
        >>> from torch_geometric.data import HeteroData
        >>> from pyg_irllrec.utils import find_interaction_types
        >>> data = HeteroData()
        >>> data['reader', 'buys', 'book'].edge_index = torch.tensor([[0, 1], [1, 0]])
        >>> find_interaction_types(data)
        InteractionTypes(edge_type=('reader', 'buys', 'book'), rev_edge_type=None)
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
            f"'rev_edge_type' must be from '{edge_type[2]}' to '{edge_type[0]}', the "
            f'reverse of {edge_type}, got {rev_edge_type}'
        )
    backward = read_edges(edge_store(data, rev_edge_type))
    if not same_edges(forward, backward.flip(0)):
        raise ValueError(
            f'{rev_edge_type} must hold the {forward.size(1)} interactions of '
            f'{edge_type} in reverse, got {backward.size(1)} different interactions: '
            'pass both edge types to the transform that changed one of them (such as '
            'RandomLinkSplit(edge_types=..., rev_edge_types=...)), or delete '
            f'data[{rev_edge_type}]'
        )
    return InteractionTypes(edge_type, rev_edge_type)


def find_edge_type(data: HeteroData) -> EdgeType:
    r"""Find only the edge type from users to items, see
    :func:`find_interaction_types`."""
    found: list[EdgeType] = [
        edge_type
        for edge_type in data.edge_types
        if edge_type[0] != edge_type[2] and 'edge_index' in data[edge_type]
    ]
    found = [each for each in found if INTENT not in (each[0], each[2])] or found
    if not found:
        raise ValueError(
            "'data' must hold an 'edge_index' from users to items, two node types, "
            f'got edges of {data.edge_types}'
            f'{missing_edges_advice(data, data.edge_types)}'
        )
    if len(found) == 1:
        if found[0][2] == 'user':
            raise ValueError(
                "'edge_type' must be from users to items, but the only edge type of "
                f"'data' is {found[0]}: pass it as edge_type=... if its sources are "
                "users, or flip its 'edge_index'"
            )
        return found[0]
    one, other = found[:2]
    if len(found) > 2 or (one[0], one[2]) != (other[2], other[0]):
        raise ValueError(
            "'edge_type' must name the interactions, because 'data' has several edge "
            f'types between two node types: {", ".join(map(str, found))}: pass one as '
            'edge_type=...'
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
        "'edge_type' must name the direction from users to items, because 'data' has "
        f'both directions: pass {one} or {other} as edge_type=...'
    )


def check_edge_type(edge_type: object, name: str = 'edge_type') -> EdgeType:
    r"""Return the edge type as a tuple. Raise a :class:`ValueError` unless it connects
    two node types."""
    parts = tuple(edge_type) if isinstance(edge_type, (tuple, list)) else ()
    names = all(isinstance(part, str) for part in parts)
    if len(parts) != 3 or not names or parts[0] == parts[2]:
        raise ValueError(
            f"'{name}' must be (source, relation, target) with two node types, "
            f"such as ('user', 'rates', 'item'), got {edge_type!r}"
        )
    return parts


def _find_reverse(
    data: HeteroData, edge_type: EdgeType, forward: Optional[Tensor]
) -> Optional[EdgeType]:
    r"""The reverse of an edge type. With :obj:`forward`, the edges of a type that the
    caller gave, a candidate without the matching name must contain them."""
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
        f"'rev_edge_type' must name the reverse of {edge_type}, because 'data' has "
        f"several edge types from '{target}' to '{source}': "
        f'{", ".join(map(str, found))}: pass one as rev_edge_type=...'
    )


def _holds(data: HeteroData, edge_type: EdgeType, forward: Tensor) -> bool:
    r"""Whether the edge type contains all of these edges in reverse."""
    backward = read_edges(edge_store(data, edge_type)).flip(0)
    if forward.size(1) == 0 or torch.equal(forward, backward):
        return backward.size(1) == forward.size(1)
    return bool(find_edges(backward, forward).all())
