"""What a transform that removes interactions must come before."""

from __future__ import annotations

from typing import Any, Optional

from torch_geometric.data import HeteroData

from pyg_irllrec.typing import GraphData
from pyg_irllrec.utils.edge_store import read_edges, same_edges
from pyg_irllrec.utils.split_layout import SplitLayout, split_layout

_ADVICE = {
    SplitLayout.HELD_OUT: 'apply {name} before SplitInteractions',
    SplitLayout.TEST_SET: 'apply {name} to all interactions (before RandomLinkSplit, '
    'where it made them), or delete the labelled edges to go on without this test set',
    SplitLayout.TRAINING_PART: 'apply {name} before RandomLinkSplit',
}


def check_derived(
    data: GraphData, store: Any, reverse: Optional[Any], name: str
) -> None:
    r"""Raise a :class:`ValueError` where interactions were already turned into
    something that would go on holding those that a transform removes."""
    stores = [store] if reverse is None else [store, reverse]
    found = [f"'{key}'" for key in ('adj', 'adj_t') if any(key in s for s in stores)]
    if isinstance(data, HeteroData):
        keys = ('edge_index', 'adj', 'adj_t')
        found += [f"'data.{key}'" for key in keys if key in data._global_store]
    if found:
        raise ValueError(
            f'{name} must come before what is made of interactions (such as '
            f'SymmetricAdjacency or ToSparseTensor), got {", ".join(found)}'
        )


def check_copies(
    data: GraphData, store: Any, reverse: Optional[Any], name: str
) -> None:
    r"""Raise a :class:`ValueError` where edges of another type between the same nodes
    are the same, and would keep what a transform takes away."""
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
            f"{name} changes {own[0]}, but 'data' holds the same edges as "
            f'{", ".join(map(str, copies))}, which would keep them all: '
            f'{"; ".join(f"del data[{each}]" for each in copies)} first'
        )


def check_unsplit(
    data: GraphData,
    store: Any,
    reverse: Optional[Any],
    name: str,
    allowed: tuple[SplitLayout, ...] = (),
) -> SplitLayout:
    r"""The layout of the interactions, or a :class:`ValueError` where they were already
    split or something was made of them."""
    layout = split_layout(store)
    if layout is not SplitLayout.UNSPLIT and layout not in allowed:
        advice = _ADVICE[layout].format(name=name)
        if name == 'SplitInteractions':
            advice = (
                'leave it out, as InteractionDataModule takes this layout, or apply it '
                'to the data before that split'
            )
        raise ValueError(
            f"{name} needs interactions that are not split, but 'data' holds "
            f'{layout.value}: {advice}'
        )
    check_derived(data, store, reverse, name)
    return layout
