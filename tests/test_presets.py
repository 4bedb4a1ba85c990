from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pyg_irllrec.nn import IntentAlignmentLoss
from pyg_irllrec.presets import (
    ALIGNMENTS,
    AUTHORS,
    AUTHORS_DATASETS,
    BACKBONES,
    DATASETS,
    PARTS,
    VARIANTS,
    authors_backbone,
    authors_loss,
    authors_preset,
    auto_preset,
    get_preset,
    sound_preset,
)

PUBLISHED = [name for name in ALIGNMENTS if name != 'auto']


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('backbone', BACKBONES)
def test_is_plain_data_that_fits_its_receivers(backbone, variant):
    for dataset in DATASETS:
        for alignment in ALIGNMENTS if variant == 'sound' else PUBLISHED:
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
            assert again['fit']['lr'] != 1
            assert again['backbone']['embedding_dim'] != 1


def test_a_dataset_of_the_authors_has_their_own_preset():
    for backbone in AUTHORS:
        for dataset in AUTHORS_DATASETS:
            for alignment in PUBLISHED:
                names = backbone, dataset, alignment
                assert get_preset(*names) == sound_preset(*names)
                assert get_preset(*names, 'authors') == authors_preset(*names)


def test_own_data_starts_from_amazon():
    amazon, own = (get_preset('lightgcn', name, 'full') for name in ('amazon', 'own'))
    assert own['loss'] == amazon['loss'] | {
        'intent_weight': 5e-3,
        'translation_impl': 'moments',
    }
    assert own['backbone']['edge_dropout'] == 0.2
    assert own['data'] == {'batch_size': 1024}
    assert own['model'] == amazon['model'] | {'l2_weight': 1e-6}
    assert own['fit'] == amazon['fit'] | {'check_every': 2}
    assert get_preset() == auto_preset()
    sgl = get_preset('sgl', 'own', 'intents')
    assert sgl['loss'] == get_preset('sgl', 'amazon', 'intents')['loss']


def test_auto_follows_the_size_of_the_data():
    small, large = auto_preset('lightgcn', 900, 4999, 30_000), auto_preset()
    huge = auto_preset('lightgcn', 10**6, 10**5, 10**7)
    widths = [preset['backbone']['embedding_dim'] for preset in (small, large, huge)]
    assert widths == [128, 256, 64]
    assert 'num_samples' in huge['ranking'] and 'num_samples' not in large['ranking']
    assert small['ranking'] != large['ranking']
    sizes = [(4, 4, 5), (900, 4999, 30_000), (10**6, 10**5, 10**7)]
    batches = [auto_preset('sgl', *size)['data']['batch_size'] for size in sizes]
    assert batches == [1024, 3750, 131072]
    for num_items, companion in ((13_000, 'ease'), (13_001, 'item_knn')):
        preset = auto_preset('sgl', num_items=num_items)
        assert list(preset['companions']) == [companion]


@pytest.mark.parametrize('name', ['num_users', 'num_items', 'num_interactions'])
def test_auto_of_nothing(name):
    with pytest.raises(ValueError, match=f"'{name}' must be"):
        auto_preset(**{name: 0})


def test_the_authors_have_no_auto():
    with pytest.raises(ValueError, match="'variant' must be 'sound' for alignment="):
        get_preset('lightgcn', 'yelp', 'auto', 'authors')


def test_prototypes_of_the_embedded_dataset_stand_for_clusters():
    for backbone in BACKBONES:
        preset = get_preset(backbone, 'synthetic', 'full')
        reads = backbone in ('lightgcn', 'sgl', 'simgcl')
        assert ('prototype_weight' in preset['model']) == reads
        assert ('intent_temperature' in preset['backbone']) == reads


TABLE = json.loads((Path(__file__).parent / 'data/authors_presets.json').read_text())
SUFFIXES = {
    'none': '',
    'profile': '_plus',
    'reconstruction': '_gene',
    'intents': '_int',
    'full': '_int',
}
# The place of each value of the authors in a preset.
PLACES = {
    'lr': ('fit', 'lr'),
    'test_step': ('fit', 'check_every'),
    'patience': ('fit', 'patience'),
    'batch_size': ('data', 'batch_size'),
    'embedding_size': ('backbone', 'embedding_dim'),
    'intent_num': ('backbone', 'num_intents'),
    'layer_num': ('backbone', 'num_layers'),
    'cl_weight': ('backbone', 'contrast_weight'),
    'cl_temperature': ('backbone', 'temperature'),
    'temperature': ('backbone', 'temperature'),
    'tau': ('backbone', 'temperature'),
    'eps': ('backbone', 'noise'),
    'cen_weight': ('backbone', 'center_weight'),
    'reg_weight': ('model', 'l2_weight'),
    'mask_ratio': ('model', 'mask_ratio'),
    'recon_weight': ('model', 'weight'),
    're_temperature': ('model', 'temperature'),
    'kd_weight': ('loss', 'profile_weight'),
    'kd_temperature': ('loss', 'profile_temperature'),
    'kd_int_weight': ('loss', 'intent_weight'),
    'kd_int_temperature': ('loss', 'intent_temperature'),
}
# Not in presets: the number of epochs, an argument of fit(), and a zero.
NOT_HELD = {'epoch', 'weight_decay'}


def place(preset, backbone, name):
    """A value of a preset, by the authors' name."""
    if name == 'keep_rate':
        dropout = {'lightgcn': 'edge_dropout', 'sgl': 'dropout'}.get(backbone)
        return 1 - preset['backbone'].get(dropout, 0.0)
    if name == 'kd_int_weight_2':
        matching = preset['loss']['matching_weight'] / 0.6
        return preset['loss']['translation_weight'] / (1 + 0.4 * matching)
    if name == 'kd_int_weight_3':
        return preset['loss']['matching_weight'] / 0.6
    part, argument = PLACES[name]
    return preset[part][argument]


@pytest.mark.parametrize('backbone', AUTHORS)
def test_equals_every_value_that_the_authors_ship(backbone):
    compared = 0
    for dataset in AUTHORS_DATASETS:
        for alignment in PUBLISHED:
            model = TABLE['models'].get(backbone + SUFFIXES[alignment])
            if model is None:
                assert (backbone, alignment) != ('alpharec', 'none')
                continue
            preset = authors_preset(backbone, dataset, alignment)
            theirs = model['train'] | model['general']
            theirs |= model['datasets'].get(dataset, {})
            for name in theirs.keys() - NOT_HELD:
                if name.startswith('kd_int_weight_') and alignment != 'full':
                    continue
                ours = place(preset, backbone, name)
                where = backbone, dataset, alignment, name
                assert ours == pytest.approx(theirs[name], rel=1e-12), where
                compared += 1
    assert compared > (30 if backbone == 'alpharec' else 200)


def test_what_the_authors_lack():
    amazon, steam = (
        authors_preset('sgl', name, 'full') for name in ('amazon', 'steam')
    )
    for name in ('translation_weight', 'matching_weight'):
        assert steam['loss'][name] == amazon['loss'][name] > 0
    profile = authors_preset('alpharec', 'movie', 'profile')
    assert profile['backbone']['num_layers'] == 3
    assert profile['model']['l2_weight'] == 1e-6
    assert profile['loss']['profile_weight'] == 1e-3
    assert get_preset('alpharec', 'yelp', 'full')['backbone'] == {
        'embedding_dim': 32,
        'num_layers': 2,
        'num_intents': 128,
        'temperature': 0.15,
    }


def test_a_model_of_theirs_counts_all_masked_nodes_and_ranks_by_inner_products():
    assert authors_preset('bigcf', 'amazon', 'reconstruction')['model'] == {
        'l2_weight': 1e-5,
        'mask_ratio': 0.6,
        'weight': 0.02,
        'temperature': 0.1,
        'max_rows': None,
    }
    assert 'max_rows' not in sound_preset('bigcf', 'amazon', 'reconstruction')['model']
    backbone = authors_preset('alpharec', 'yelp', 'none')['backbone']
    assert backbone['normalize'] is False and backbone['hidden_channels'] == 768


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
        (('sgl', 'yelp', 'auto'), "'alignment' must be one of 'none', 'profile'"),
    ],
)
def test_unknown_names(arguments, message):
    with pytest.raises(ValueError, match=message):
        authors_preset(*arguments)


def test_an_empty_configuration_leaves_the_defaults():
    texts = (torch.ones(3, 2), torch.zeros(2, 1, dtype=torch.long))
    for backbone in AUTHORS:
        own = texts if backbone == 'alpharec' else ()
        BACKBONES[backbone](3, 3, *own, **authors_backbone(backbone, {}))


def test_missing_names():
    for call, name in (
        (lambda: authors_backbone('ngcf', {}), 'backbone'),
        (lambda: authors_loss({}, 'ngcf'), 'backbone'),
        (lambda: get_preset('ngcf'), 'backbone'),
        (lambda: get_preset('sgl', 'books'), 'dataset'),
        (lambda: get_preset('sgl', 'yelp', 'all'), 'alignment'),
        (lambda: get_preset('sgl', 'yelp', 'full', 'fast'), 'variant'),
    ):
        with pytest.raises(ValueError, match=f"'{name}' must be one of '"):
            call()
