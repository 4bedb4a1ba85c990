from __future__ import annotations

import json

import pytest

from pyg_irllrec.nn import IntentAlignmentLoss
from pyg_irllrec.presets import (
    ALIGNMENTS,
    AUTHORS,
    BACKBONES,
    DATASETS,
    authors_alignment,
    authors_backbone,
    authors_preset,
    sound_preset,
)


@pytest.mark.parametrize('backbone', AUTHORS)
@pytest.mark.parametrize('dataset', DATASETS)
@pytest.mark.parametrize('alignment', ALIGNMENTS)
@pytest.mark.parametrize('preset', [authors_preset, sound_preset])
def test_is_plain_data_that_fits_its_receivers(preset, backbone, dataset, alignment):
    values = preset(backbone, dataset, alignment)
    assert json.loads(json.dumps(values)) == values
    model = BACKBONES[backbone](3, 3, **values['backbone'])
    loss = IntentAlignmentLoss(**values['alignment'])
    if alignment in ('intents', 'full'):
        assert model.num_intents == 128 and loss.weights['intent'] > 0
    assert loss.needs_all_intents() == (alignment == 'full')
    values['training']['lr'] = 1
    assert preset(backbone, dataset, alignment)['training']['lr'] == 1e-3


def test_numbers_of_the_table():
    sgl = authors_preset('sgl', 'movie', 'intents')
    assert sgl['backbone']['contrast_weight'] == 0.01
    assert sgl['backbone']['temperature'] == 0.1
    assert sgl['backbone']['dropout'] == pytest.approx(0.2)
    assert authors_preset('simgcl', 'yelp', 'none')['backbone']['noise'] == 0.9
    assert authors_preset('dccf', 'yelp', 'none')['backbone']['num_layers'] == 2
    assert authors_preset('dccf', 'movie', 'none')['backbone']['num_layers'] == 3
    bigcf = authors_preset('bigcf', 'amazon', 'full')
    assert bigcf['backbone']['center_weight'] == 1e-5
    assert bigcf['alignment']['intent_temperature'] == 0.1
    plain = authors_preset('lightgcn', 'amazon', 'none')
    assert plain['model']['l2_weight'] == 1e-6
    assert plain['backbone']['edge_dropout'] == pytest.approx(0.2)
    full = authors_preset('lightgcn', 'amazon', 'full')
    assert full['model']['l2_weight'] == 1e-7
    assert full['backbone']['edge_dropout'] == 0


def test_the_authors_choices_and_ours():
    preset = authors_preset('sgl', 'amazon', 'full')
    assert preset['alignment']['user_negatives'] == 'all'
    assert preset['alignment']['item_negatives'] == 'batch'
    assert preset['alignment']['duplicates'] and preset['model']['l2_teacher']
    assert preset['backbone']['duplicates']
    simgcl = authors_preset('simgcl', 'amazon', 'full')
    assert not simgcl['alignment']['negative_item_intents']
    ours = sound_preset('sgl', 'amazon', 'full')
    assert 'duplicates' not in ours['backbone'] | ours['alignment']
    assert ours['training']['patience'] > preset['training']['patience']


def test_the_nested_term_is_unfolded():
    weights = authors_alignment({'kd_int_weight_2': 0.2, 'kd_int_weight_3': 0.5})
    assert weights['translation_weight'] == pytest.approx(0.2 + 0.5 * 0.4 * 0.2)
    assert weights['matching_weight'] == pytest.approx(0.5 * 0.6)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('lightgcn', 'books', 'none'), "'dataset' must be one of 'amazon', 'yelp'"),
        (('ngcf', 'yelp', 'none'), "'backbone' must be one of 'lightgcn', 'sgl'"),
        (('sgl', 'yelp', 'all'), "'alignment' must be one of 'none', 'profile'"),
    ],
)
def test_unknown_names(arguments, message):
    with pytest.raises(ValueError, match=message):
        authors_preset(*arguments)


@pytest.mark.parametrize('backbone', AUTHORS)
def test_an_empty_configuration_leaves_the_defaults(backbone):
    BACKBONES[backbone](3, 3, **authors_backbone(backbone, {}))


def test_unknown_backbones():
    for call in (
        lambda: authors_backbone('ngcf', {}),
        lambda: authors_alignment({}, 'ngcf'),
    ):
        with pytest.raises(ValueError, match="'backbone' must be one of 'lightgcn'"):
            call()
