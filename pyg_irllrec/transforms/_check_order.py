"""What a transform that removes interactions must come before."""

from __future__ import annotations

from typing import Any, Optional

from torch_geometric.data import HeteroData

from pyg_irllrec.typing import GraphData
from pyg_irllrec.utils.split_layout import SplitLayout, split_layout

_ADVICE = {
    SplitLayout.HELD_OUT: 'apply {name} before SplitInteractions',
    SplitLayout.TEST_SET: 'apply {name} to all interactions, or delete '
    "'edge_label_index' to go on without this test set",
    SplitLayout.LINK_SPLIT: 'apply {name} before RandomLinkSplit',
}


def check_derived(
    data: GraphData, store: Any, reverse: Optional[Any], name: str
) -> None:
    r"""Raises a :class:`ValueError` where interactions were already turned into
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
