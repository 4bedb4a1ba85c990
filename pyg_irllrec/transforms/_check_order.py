"""Check that a transform that removes interactions is applied early enough."""

from __future__ import annotations

from typing import Any, Optional

from torch_geometric.data import HeteroData

from pyg_irllrec.typing import GraphData
from pyg_irllrec.utils.edge_store import read_edges, same_edges
from pyg_irllrec.utils.split_layout import SplitLayout, split_layout

_ADVICE = {
    SplitLayout.HELD_OUT: 'apply {name} before SplitInteractions',
    SplitLayout.TEST_SET: 'apply {name} to all interactions (before RandomLinkSplit '
    'if it made the test set), or delete the labelled edges to continue without them',
    SplitLayout.TRAINING_PART: 'apply {name} before RandomLinkSplit',
}


def check_derived(
    data: GraphData, store: Any, reverse: Optional[Any], name: str
) -> None:
    r"""Raise a :class:`ValueError` if something derived from the interactions, such as
    an adjacency matrix, would keep those that a transform removes."""
    stores = [store] if reverse is None else [store, reverse]
    found = [f"'{key}'" for key in ('adj', 'adj_t') if any(key in s for s in stores)]
    if isinstance(data, HeteroData):
        keys = ('edge_index', 'adj', 'adj_t')
        found += [f"'data.{key}'" for key in keys if key in data._global_store]
    if found:
        raise ValueError(
            f'{name} must come before transforms that derive a graph from interactions '
            f'(such as SymmetricAdjacency or ToSparseTensor), got {", ".join(found)}'
        )


def check_copies(
    data: GraphData, store: Any, reverse: Optional[Any], name: str
) -> None:
    r"""Raise a :class:`ValueError` if another edge type holds a copy of the
    interactions, which would keep those that a transform removes."""
    if not isinstance(data, HeteroData):
        return
    own = [each._key for each in (store, reverse) if each is not None]
    edge_index = read_edges(store)
    copies = []
    for other in data.edge_types:
        if other in own or {other[0], other[2]} != {own[0][0], own[0][2]}:
            continue
        if 'edge_index' in data[other] and edge_index.size(1) > 0:
            edges = read_edges(data[other])
            edges = edges if other[0] == own[0][0] else edges.flip(0)
            if same_edges(edge_index, edges):
                copies.append(other)
    if copies:
        raise ValueError(
            f"{name} changes {own[0]}, but 'data' holds a copy of these edges under "
            f'{", ".join(map(str, copies))}, which would keep all of them: '
            f'{"; ".join(f"del data[{each}]" for each in copies)} first'
        )


def check_unsplit(
    data: GraphData,
    store: Any,
    reverse: Optional[Any],
    name: str,
    allowed: tuple[SplitLayout, ...] = (),
) -> SplitLayout:
    r"""Return the layout of the interactions, or raise a :class:`ValueError` if they
    are already split or something was already derived from them."""
    layout = split_layout(store)
    if layout is not SplitLayout.UNSPLIT and layout not in allowed:
        advice = _ADVICE[layout].format(name=name)
        if name == 'SplitInteractions':
            advice = (
                'leave it out, because InteractionDataModule reads this layout, or '
                'apply it before that split'
            )
        raise ValueError(
            f"{name} needs interactions that are not split, but 'data' holds "
            f'{layout.value}: {advice}'
        )
    check_derived(data, store, reverse, name)
    return layout
