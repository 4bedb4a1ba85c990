from __future__ import annotations

import pytest
import torch
from torch_geometric import EdgeIndex

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
    training, *others = link_split(**options)
    # Disjoint edges are held out from message passing, regardless of their labels.
    disjoint = 'disjoint_train_ratio' in options
    assert layout(training) is (
        SplitLayout.TEST_SET if disjoint else SplitLayout.TRAINING_PART
    )
    for part in (training, *others):
        if part is not training:
            assert layout(part) is SplitLayout.TEST_SET
        label = part[RATES].get('edge_label')
        found = pairs(positive_edges(part[RATES]))
        assert len(found) in (4, 8, 16)
        if label is not None:
            negative = pairs(part[RATES].edge_label_index[:, label == 0])
            assert not set(found) & set(negative)
            assert len(found) + len(negative) == len(label)


@pytest.mark.parametrize(
    ('label', 'expected'),
    [
        ([1, 0, 1, 0, 0], [0, 2]),
        ([1, 1, 1, 1, 1], [0, 1, 2, 3, 4]),
        ([0, 0, 0, 0, 0], []),
        ([3, 4, 5, 1, 2], [0, 1, 2, 3, 4]),
        ([3, 0, 5, 1, 2], [0, 1, 2, 3, 4]),  # A rating of 0.
        ([-1, 1, -1, 1, 1], [0, 1, 2, 3, 4]),
        ([6, 2, 4, 0, 0], [0, 1, 2]),  # As RandomLinkSplit appends negative edges.
        ([2.0, 0.5, 0.0, 3.0, 1.0], [0, 1, 2, 3, 4]),
    ],
)
def test_positive_edges_by_their_labels(label, expected):
    store = movie_lens_1m()[RATES]
    store.edge_label_index = torch.arange(5).expand(2, -1)
    store.edge_label = torch.tensor(label)
    assert positive_edges(store)[0].tolist() == expected


def test_an_empty_test_set_is_a_test_set():
    data = movie_lens_1m()
    data[RATES].edge_label_index = torch.empty(2, 0).long()
    assert layout(data) is SplitLayout.TEST_SET


def test_an_edge_index_in_inference_mode():
    data = movie_lens_1m()
    data[RATES].edge_label_index = EdgeIndex(torch.tensor([[0, 1], [1, 1]]))
    data[RATES].edge_label = torch.tensor([1, 0])
    with torch.inference_mode():
        assert type(positive_edges(data[RATES])) is torch.Tensor
        assert pairs(positive_edges(data[RATES])) == [(0, 1)]
        assert layout(data) is SplitLayout.TRAINING_PART


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
