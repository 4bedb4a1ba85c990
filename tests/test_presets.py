from __future__ import annotations

import json

import pytest
import torch

from pyg_irllrec.nn import IntentAlignmentLoss
from pyg_irllrec.presets import (
    ALIGNMENTS,
    AUTHORS,
    AUTHORS_ALIGNMENTS,
    AUTHORS_DATASETS,
    BACKBONES,
    DATASETS,
    PARTS,
    VARIANTS,
    authors_backbone,
    authors_loss,
    authors_preset,
    get_preset,
    sound_preset,
)


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('backbone', BACKBONES)
def test_is_plain_data_that_fits_its_receivers(backbone, variant):
    for dataset in DATASETS:
        for alignment in ALIGNMENTS:
            values = get_preset(backbone, dataset, alignment, variant)
            assert tuple(values) == PARTS
            assert json.loads(json.dumps(values)) == values
            own = (torch.ones(3, 2), torch.zeros(2, 1, dtype=torch.long))
            texts = own if backbone == 'alpharec' else ()
            model = BACKBONES[backbone](3, 3, *texts, **values['backbone'])
            loss = IntentAlignmentLoss(**values['loss'])
            if alignment in ('intents', 'full'):
                assert model.num_intents == (16 if dataset == 'synthetic' else 128)
                assert loss.weights['intent'] > 0
            assert loss.needs_all_intents() == (alignment == 'full')
            values['fit']['lr'] = values['backbone']['embedding_dim'] = 1
            again = get_preset(backbone, dataset, alignment, variant)
            assert again['fit']['lr'] == 1e-3
            assert again['backbone']['embedding_dim'] == 32


def test_a_dataset_of_the_authors_has_their_own_preset():
    for backbone in AUTHORS:
        for dataset in AUTHORS_DATASETS:
            for alignment in AUTHORS_ALIGNMENTS:
                names = backbone, dataset, alignment
                assert get_preset(*names) == sound_preset(*names)
                assert get_preset(*names, 'authors') == authors_preset(*names)


def test_own_data_starts_from_amazon():
    amazon, own = (get_preset('lightgcn', name) for name in ('amazon', 'own'))
    assert own['loss'] == amazon['loss'] | {
        'intent_weight': 5e-3,
        'translation_impl': 'moments',
    }
    assert own['backbone']['edge_dropout'] == 0.2
    assert own['data'] == {'batch_size': 1024}
    assert own['fit'] == amazon['fit'] | {'check_every': 2}
    assert get_preset() == own
    sgl = get_preset('sgl', 'own', 'intents')
    assert sgl['loss'] == get_preset('sgl', 'amazon', 'intents')['loss']


def test_models_that_the_authors_did_not_tune():
    alpharec = get_preset('alpharec', 'yelp', 'full')
    assert alpharec['backbone'] == {'embedding_dim': 32, 'num_intents': 128}
    reconstruction = get_preset('sgl', 'yelp', 'reconstruction')
    assert reconstruction['model'] == {'l2_weight': 1e-5}


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
    assert bigcf['loss']['intent_temperature'] == 0.1
    plain = authors_preset('lightgcn', 'amazon', 'none')
    assert plain['model']['l2_weight'] == 1e-6
    assert plain['backbone']['edge_dropout'] == pytest.approx(0.2)
    full = authors_preset('lightgcn', 'amazon', 'full')
    assert full['model']['l2_weight'] == 1e-7
    assert full['backbone']['edge_dropout'] == 0


def test_the_authors_choices_and_ours():
    preset = authors_preset('sgl', 'amazon', 'full')
    assert preset['loss']['user_negatives'] == 'all'
    assert preset['loss']['item_negatives'] == 'batch'
    assert preset['loss']['duplicates'] and preset['model']['l2_teacher']
    assert preset['backbone']['duplicates']
    simgcl = authors_preset('simgcl', 'amazon', 'full')
    assert not simgcl['loss']['negative_item_intents']
    ours = sound_preset('sgl', 'amazon', 'full')
    assert 'duplicates' not in ours['backbone'] | ours['loss']
    assert ours['fit']['patience'] > preset['fit']['patience']


def test_the_nested_term_is_unfolded():
    weights = authors_loss({'kd_int_weight_2': 0.2, 'kd_int_weight_3': 0.5})
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


def test_an_empty_configuration_leaves_the_defaults():
    for backbone in AUTHORS:
        BACKBONES[backbone](3, 3, **authors_backbone(backbone, {}))


def test_names_that_are_not_there():
    for call, name in (
        (lambda: authors_backbone('ngcf', {}), 'backbone'),
        (lambda: authors_loss({}, 'ngcf'), 'backbone'),
        (lambda: authors_backbone('alpharec', {}), 'backbone'),
        (lambda: get_preset('ngcf'), 'backbone'),
        (lambda: get_preset('sgl', 'books'), 'dataset'),
        (lambda: get_preset('sgl', 'yelp', 'all'), 'alignment'),
        (lambda: get_preset('sgl', 'yelp', 'full', 'fast'), 'variant'),
    ):
        with pytest.raises(ValueError, match=f"'{name}' must be one of '"):
            call()
