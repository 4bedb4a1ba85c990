from __future__ import annotations

from enum import Enum
from typing import Any

from torch import Tensor

from pyg_irllrec.utils.adjacency import check_edge_index
from pyg_irllrec.utils.checks import check_length


class SplitLayout(Enum):
    r"""How the interactions of a graph were split, in words."""

    UNSPLIT = 'interactions that are not split'
    HELD_OUT = "interactions with those that are held out ('val_edge_label_index' or \
'test_edge_label_index', as SplitInteractions makes them)"
    TEST_SET = "interactions with a test set ('edge_label_index', as AmazonBook and \
MovieLens100K have it)"
    LINK_SPLIT = "one part of the three that RandomLinkSplit makes ('edge_label_index' \
with labels of 0 and 1, or 'pos_edge_label_index')"


def split_layout(store: Any) -> SplitLayout:
    r"""The layout of the store of interactions.

    Labels beside :obj:`edge_label_index` are those of
    :class:`~torch_geometric.transforms.RandomLinkSplit` if one is 0 or all are 1, or
    else the ratings of a test set.

    Raises:
        ValueError: If the store holds two splits.
    """
    own = [
        key for key in ('val_edge_label_index', 'test_edge_label_index') if key in store
    ]
    labels = [
        key for key in ('edge_label_index', 'pos_edge_label_index') if key in store
    ]
    if len(labels) + bool(own) > 1:
        raise ValueError(
            "'data' must hold one split of its interactions, got "
            f'{", ".join(map(repr, own + labels))}: delete all but one'
        )
    if own:
        return SplitLayout.HELD_OUT
    if not labels:
        return SplitLayout.UNSPLIT
    if labels == ['edge_label_index']:
        label = store.get('edge_label')
        if label is None or not (bool((label == 0).any()) or bool((label == 1).all())):
            return SplitLayout.TEST_SET
    return SplitLayout.LINK_SPLIT


def positive_edges(store: Any) -> Tensor:
    r"""The interactions among the labelled edges of a part of
    :class:`~torch_geometric.transforms.RandomLinkSplit`: those with a label above 0."""
    if 'pos_edge_label_index' in store:
        check_edge_index(store.pos_edge_label_index, name='pos_edge_label_index')
        positive: Tensor = store.pos_edge_label_index
        return positive.long()
    edge_index: Tensor = store.edge_label_index
    check_edge_index(edge_index, name='edge_label_index')
    label = store.get('edge_label')
    if label is not None:
        check_length('edge_label', label, edge_index.size(1))
        edge_index = edge_index[:, label > 0]
    return edge_index.long()
