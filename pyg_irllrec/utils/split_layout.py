from __future__ import annotations

from enum import Enum
from typing import Any

import torch
from torch import Tensor

from pyg_irllrec.utils.adjacency import check_edge_index
from pyg_irllrec.utils.checks import check_length
from pyg_irllrec.utils.edge_store import find_edges, plain, read_edges


class SplitLayout(Enum):
    r"""How the interactions of a graph are split, as a phrase for messages."""

    UNSPLIT = 'interactions that are not split'
    HELD_OUT = "interactions of which some are held out ('val_edge_label_index' or \
'test_edge_label_index', as SplitInteractions makes them)"
    TEST_SET = "interactions with a test set ('edge_label_index' or \
'pos_edge_label_index', as in AmazonBook, MovieLens100K and the validation and test \
parts of RandomLinkSplit)"
    TRAINING_PART = "the training part of RandomLinkSplit ('edge_label_index' or \
'pos_edge_label_index', whose positive edges are all in 'edge_index')"


HELD_OUT_KEYS = ('val_edge_label_index', 'test_edge_label_index')
LABEL_KEYS = ('edge_label_index', 'pos_edge_label_index')


def split_layout(store: Any) -> SplitLayout:
    r"""The layout of a store of interactions.

    Labelled edges belong to the training part of
    :class:`~torch_geometric.transforms.RandomLinkSplit` if all positive edges are in
    :obj:`edge_index`, and are a test set otherwise.

    Raises:
        ValueError: If the store holds two splits, or its labels are invalid.
    """
    own = [key for key in HELD_OUT_KEYS if key in store]
    labels = [key for key in LABEL_KEYS if key in store]
    if len(labels) + bool(own) > 1:
        raise ValueError(
            "'data' must hold one split of its interactions, got "
            f'{", ".join(map(repr, own + labels))}: delete all but one'
        )
    if own:
        return SplitLayout.HELD_OUT
    if not labels:
        return SplitLayout.UNSPLIT
    positive = positive_edges(store)
    if positive.size(1) > 0 and bool(find_edges(read_edges(store), positive).all()):
        return SplitLayout.TRAINING_PART
    return SplitLayout.TEST_SET


def positive_edges(store: Any) -> Tensor:
    r"""The interactions among labelled edges: :obj:`pos_edge_label_index`, or those of
    :obj:`edge_label_index` that :func:`positive_mask` marks."""
    if 'pos_edge_label_index' in store:
        check_edge_index(store.pos_edge_label_index, name='pos_edge_label_index')
        return plain(store.pos_edge_label_index).long()
    mask = positive_mask(store)
    return plain(store.edge_label_index).long()[
        :, mask.to(store.edge_label_index.device)
    ]


def positive_mask(store: Any) -> Tensor:
    r"""Whether each edge of :obj:`edge_label_index` is an interaction, of shape
    :math:`(E)`.

    If all labels are 0 or 1, the interactions are the edges with label 1. Other labels
    are ratings, which may be 0 too: then all edges are interactions, unless all zeros
    are at the end, where :class:`~torch_geometric.transforms.RandomLinkSplit` appends
    negative edges.

    Raises:
        ValueError: If there is not one label per edge, or a label is NaN.
    """
    check_edge_index(store.edge_label_index, name='edge_label_index')
    count = store.edge_label_index.size(1)
    label = store.get('edge_label')
    if label is None:
        return torch.ones(count, dtype=torch.bool)
    check_length('edge_label', label, count)
    if missing := int(label.isnan().sum()):
        raise ValueError(
            f"'edge_label' must hold 0 and 1, or ratings, got NaN in {missing} of "
            f'{count} labels'
        )
    positive: Tensor = label != 0
    num_positive = int(positive.sum())
    binary = bool((positive == label).all())
    if binary or bool(positive[:num_positive].all()):
        return positive
    return torch.ones_like(positive)
