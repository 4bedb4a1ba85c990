from __future__ import annotations

import pytest
import torch

from pyg_irllrec.transforms import SplitInteractions
from pyg_irllrec.utils.split_layout import SplitLayout, positive_edges, split_layout
from tests.layouts import (
    LINK_SPLIT,
    RATES,
    TEST_SET,
    UNSPLIT,
    interactions,
    link_split,
    movie_lens_1m,
    pairs,
)


def layout(data):
    return split_layout(interactions(data)[0])


@pytest.mark.parametrize('name', UNSPLIT | TEST_SET)
def test_the_layouts_of_pyg(name):
    expected = SplitLayout.UNSPLIT if name in UNSPLIT else SplitLayout.TEST_SET
    assert layout((UNSPLIT | TEST_SET)[name]()) is expected


@pytest.mark.parametrize('options', LINK_SPLIT.values(), ids=LINK_SPLIT)
def test_the_parts_of_random_link_split(options):
    for part in link_split(**options):
        assert layout(part) is SplitLayout.LINK_SPLIT
        label = part[RATES].get('edge_label')
        found = pairs(positive_edges(part[RATES]))
        assert len(found) in (4, 8, 16)
        if label is not None:
            negative = pairs(part[RATES].edge_label_index[:, label == 0])
            assert not set(found) & set(negative)
            assert len(found) + len(negative) == len(label)


def test_held_out():
    data = SplitInteractions()(movie_lens_1m())
    assert layout(data) is SplitLayout.HELD_OUT
    del data[RATES].val_edge_label_index
    assert layout(data) is SplitLayout.HELD_OUT


def test_two_splits():
    for part in link_split(SplitInteractions()(movie_lens_1m())):
        with pytest.raises(ValueError, match=r"must hold one split .*'edge_label_inde"):
            layout(part)


def test_labels_of_another_length():
    part, *_ = link_split()
    part[RATES].edge_label = torch.ones(3)
    with pytest.raises(ValueError, match=r"'edge_label' must have shape \(32,\)"):
        positive_edges(part[RATES])
