from __future__ import annotations

import copy
import json

import pytest
import torch

from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.presets import BACKBONES
from pyg_irllrec.training import InteractionDataModule, fingerprint
from pyg_irllrec.training.fingerprint import check_same_model, check_same_run
from pyg_irllrec.utils.digest import hash_graph

RATES = ('user', 'rates', 'item')
DATA = SyntheticIntents(30, 20, num_intents=4)[0]


def build(data=DATA, alignment='full', backbone='lightgcn', **options):
    torch.manual_seed(0)
    return build_model(data, backbone, alignment, **options)


def module(data=DATA, **options):
    return InteractionDataModule(data, **{'batch_size': 64, **options})


def changed(kind: str):
    """Return the data with one change."""
    data = copy.deepcopy(DATA)
    if kind in ('val', 'test'):
        del data[RATES][f'{kind}_edge_label_index']
        key = f'{kind}_edge_label_index'
        data[RATES][key] = DATA[RATES][key][:, 1:]
    elif kind == 'train':
        data[RATES].edge_index = DATA[RATES].edge_index[:, 1:]
    else:
        data['item'][kind] = DATA['item'][kind].flip(0)
    return data


def test_has_json_types_and_no_value_that_training_changes():
    before = fingerprint(build(), module())
    assert json.loads(json.dumps(before)) == before
    model = build()
    assert before['graph'] == hash_graph(model.edge_index, 30 + 20)
    assert list(before) == [
        *(
            'version',
            'train',
            'val',
            'test',
            'nodes',
            'batch_size',
            'batch_by',
            'data_seed',
            'graph',
        ),
        'dtype',
        *('edge_weight', 'profile', 'intent', 'model'),
    ]
    shuffled = copy.deepcopy(DATA)
    edges = shuffled[RATES].edge_index
    shuffled[RATES].edge_index = edges[:, torch.randperm(edges.size(1))]
    assert fingerprint(build(shuffled), module(shuffled)) == before


@pytest.mark.parametrize('backbone', BACKBONES)
def test_a_training_step_does_not_change_it(backbone):
    model = build(alignment='profile', backbone=backbone)
    before = fingerprint(model)
    model.loss(torch.tensor([[0, 1], [0, 1], [2, 3]])).total.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight += 1
    model.eval().recommend(torch.tensor([0]), 2)
    assert fingerprint(model) == before


@pytest.mark.parametrize(
    ('kind', 'word'),
    [
        ('train', 'other training interactions'),
        ('val', 'other validation interactions'),
        ('test', 'other test interactions'),
        ('profile', "other 'profile' of the model"),
        ('intent', "other 'intent' of the model"),
    ],
)
def test_a_change_of_the_data_is_named(kind, word):
    before, data = fingerprint(build(), module()), changed(kind)
    now = fingerprint(build(data), module(data))
    with pytest.raises(ValueError, match=f'^the run was begun with {word}.*resume it'):
        check_same_run(before, now, 'the run')
    # Held-out interactions do not affect scores.
    if kind in ('val', 'test'):
        check_same_model(before, now, 'it')
    else:
        with pytest.raises(ValueError, match=r'^it was trained with (an)?other '):
            check_same_model(before, now, 'it')


def test_other_ids_are_another_run():
    data, given = copy.copy(DATA), copy.copy(DATA)
    given['user'].id = [f'u{k}' for k in range(30)]
    data['user'].id = given['user'].id[::-1]
    data['user'].profile_text = given['user'].profile_text[::-1]
    before = fingerprint(build(), module(given))
    with pytest.raises(ValueError, match='begun with other ids of users:'):
        check_same_run(before, fingerprint(build(), module(data)), 'the run')
    check_same_model(before, fingerprint(build(), module(data)), 'it')
    data['user'].id = given['user'].id  # Corrected texts are the same run.
    check_same_run(before, fingerprint(build(), module(data)), 'the run')


def test_settings_are_named():
    before = fingerprint(build(), module())
    now = fingerprint(build(), module(batch_size=32, batch_by='user'))
    with pytest.raises(
        ValueError,
        match=r'batch_size 64, not 32; the data module.s batch_by interaction, not us',
    ):
        check_same_run(before, now, 'the run')
    check_same_model(before, now, 'it')
    model = build()
    model.alignment.translation.temperature = 0.7
    now = fingerprint(model, module())
    with pytest.raises(
        ValueError, match=r"the model's alignment.translation.temperature 1.0, not 0.7"
    ):
        check_same_run(before, now, 'the run')
    check_same_model(before, now, 'it')  # Losses do not affect scores.
    model = build()
    model.backbone.num_layers = 7
    with pytest.raises(ValueError, match=r"the model's backbone.num_layers 3, not 7"):
        check_same_model(before, fingerprint(model), 'it')
    many = {name: f'{value}x' for name, value in before['model'].items()}
    with pytest.raises(ValueError, match=r'\d+ more settings'):
        check_same_run(before, before | {'model': many}, 'the run')


def test_another_version_is_not_resumed():
    before = fingerprint(build(), module())
    now = before | {'version': '9.9'}
    with pytest.raises(ValueError, match=r'the version of pyg_irllrec .*, not 9\.9'):
        check_same_run(before, now, 'the run')
    check_same_model(before, now, 'it')


@pytest.mark.parametrize('before', [None, [], {}, {'model': 3}])
def test_invalid_fingerprints(before):
    now = fingerprint(build())
    for check in (check_same_run, check_same_model):
        with pytest.raises(ValueError, match='it holds no fingerprint'):
            check(before, now, 'it')


def test_a_missing_part_is_a_difference():
    """A run that was begun with data is not resumed with unknown data."""
    before = fingerprint(build(), module())
    with pytest.raises(ValueError, match='other training interactions'):
        check_same_run(before, fingerprint(build()), 'the run')
