from __future__ import annotations

import pytest
import torch

from pyg_irllrec.transforms import SplitInteractions
from pyg_irllrec.utils import training_interactions
from tests.layouts import (
    LINK_SPLIT,
    PAIRS,
    RATED_BY,
    RATES,
    TEST_SET,
    UNSPLIT,
    link_split,
    movie_lens_1m,
    pairs,
)


@pytest.mark.parametrize('layout', UNSPLIT | TEST_SET)
def test_those_of_edge_index(layout):
    edge_index = training_interactions((UNSPLIT | TEST_SET)[layout]())
    assert pairs(edge_index) == PAIRS and edge_index.dtype == torch.long


def test_those_that_are_not_held_out():
    data = SplitInteractions(val=0.25, test=0.25)(movie_lens_1m())
    expected = data[RATES].edge_index
    assert torch.equal(training_interactions(data, RATES, RATED_BY), expected)


@pytest.mark.parametrize('options', LINK_SPLIT.values(), ids=LINK_SPLIT)
def test_supervision_edges_are_training_interactions(options):
    train, val, test = link_split(**options)
    found = pairs(training_interactions(train))
    assert len(found) == 16 and set(found) < set(PAIRS)
    if 'disjoint_train_ratio' in options:
        assert train[RATES].edge_index.size(1) == 8
    held_out = set(pairs(training_interactions(test))) - set(found)
    assert len(held_out) == 8
    assert set(pairs(training_interactions(val))) - set(found) < held_out


def test_ids_out_of_range():
    train, *_ = link_split()
    train[RATES].edge_label_index = torch.tensor([[0, 0], [1, 99]])
    train[RATES].edge_label = torch.tensor([0.0, 1.0])
    with pytest.raises(ValueError, match=r'\(items\)\' must hold ids from 0 to 7, got'):
        training_interactions(train)
