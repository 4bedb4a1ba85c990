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
def test_uses_edge_index(layout):
    edge_index = training_interactions((UNSPLIT | TEST_SET)[layout]())
    assert pairs(edge_index) == PAIRS and edge_index.dtype == torch.long


def test_omits_held_out_interactions():
    data = SplitInteractions(val=0.25, test=0.25)(movie_lens_1m())
    expected = data[RATES].edge_index
    assert torch.equal(training_interactions(data, RATES, RATED_BY), expected)


@pytest.mark.parametrize('options', LINK_SPLIT.values(), ids=LINK_SPLIT)
def test_omits_labelled_edges(options):
    for part in link_split(**options):
        assert training_interactions(part).equal(part[RATES].edge_index)


def test_ids_out_of_range():
    data = movie_lens_1m()
    data[RATES].edge_index[1, 0] = data[RATED_BY].edge_index[0, 0] = 99
    with pytest.raises(ValueError, match=r'\(movie\)\' must hold ids from 0 to 7, got'):
        training_interactions(data)
