from __future__ import annotations

import json

import pytest

from pyg_irllrec.nn import IntentAlignmentLoss, LightGCN
from pyg_irllrec.presets import authors_alignment, authors_preset


@pytest.mark.parametrize('dataset', ['amazon', 'yelp', 'movie'])
@pytest.mark.parametrize('alignment', ['none', 'profile', 'full'])
def test_is_plain_data_that_fits_its_receivers(dataset, alignment):
    preset = authors_preset('lightgcn', dataset, alignment)
    json.dumps(preset)
    LightGCN(3, 3, **preset['backbone'])
    IntentAlignmentLoss(**preset['alignment'])
    preset['training']['lr'] = 1
    assert authors_preset('lightgcn', dataset, alignment)['training']['lr'] == 1e-3


def test_the_authors_choices():
    preset = authors_preset('lightgcn', 'amazon', 'full')
    assert preset['alignment']['user_negatives'] == 'all'
    assert preset['alignment']['item_negatives'] == 'batch'
    assert preset['alignment']['duplicates'] and preset['model']['l2_teacher']


def test_the_nested_term_is_unfolded():
    weights = authors_alignment(kd_int_weight_2=0.2, kd_int_weight_3=0.5)
    assert weights['translation_weight'] == pytest.approx(0.2 + 0.5 * 0.4 * 0.2)
    assert weights['matching_weight'] == pytest.approx(0.5 * 0.6)


def test_unknown_names():
    with pytest.raises(ValueError, match="'dataset' must be one of 'amazon', 'yelp'"):
        authors_preset('lightgcn', 'books', 'none')
