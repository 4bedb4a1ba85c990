from __future__ import annotations

import copy
import json
import statistics
import sys
import warnings

import pytest
import torch

from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.presets import get_preset
from pyg_irllrec.training import (
    InteractionDataModule,
    LitRecommender,
    evaluate_ranker,
    tune,
)
from pyg_irllrec.utils.folder_lock import FolderLock

optuna = pytest.importorskip('optuna')

RATES = ('user', 'rates', 'item')
DATA = SyntheticIntents(40, 30, num_intents=4)[0]
SPACE = {
    'fit.lr': (1e-3, 1e-1, 'log'),
    'backbone.num_layers': (1, 3),
    'data.batch_size': [64, 128],
}
PRESET = get_preset('lightgcn', 'own', 'none')
PRESET['backbone'] = {'embedding_dim': 8, 'num_layers': 2}
PRESET['data']['batch_size'] = 64
PRESET['fit'] = {'lr': 1e-2, 'check_every': 1, 'patience': 20}


def build(preset):
    return build_model(DATA, alignment='none', preset=preset)


def search(out, space=SPACE, **options):
    given = {'preset': PRESET, 'trials': 3, 'epochs': 3, 'device': 'cpu'}
    given |= {'build': build, 'data': DATA, 'progress': False, **options}
    return tune(given.pop('build'), space, given.pop('data'), out, **given)


def without_seconds(result):
    trials = copy.deepcopy(result.trials)
    for trial in trials:
        del trial['seconds']
        trial['history'] = [tuple(row) for row in trial['history']]
    return result._replace(trials=trials)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp('whole')
    return search(out), out


def test_the_best_preset_is_found_and_written(whole):
    result, out = whole
    params = {'fit.lr': 1e-2, 'backbone.num_layers': 2, 'data.batch_size': 64}
    assert result.trials[0]['params'] == params  # The values of the preset.
    values = [trial['value'] for trial in result.trials]
    assert result.value == max(values) and len(set(values)) == 3
    chosen = result.trials[values.index(result.value)]['params']
    assert result.params == chosen
    assert result.preset['fit']['lr'] == chosen['fit.lr']
    assert result.preset['fit']['patience'] == 20
    for trial in result.trials:
        assert [epoch for epoch, _ in trial['history']] == [1, 2, 3]
        assert 1 <= trial['params']['backbone.num_layers'] <= 3
    preset = json.loads((out / 'preset.json').read_text())
    assert preset == result.preset
    assert build(preset).backbone.num_layers == chosen['backbone.num_layers']
    names = {path.name for path in out.iterdir()}
    trials = {f'trial-00{number}.json' for number in range(3)}
    assert names == {'study.json', 'preset.json', *trials}


def test_only_the_bar_is_printed(tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        search(tmp_path, trials=2)
    assert capfd.readouterr() == ('', '')
    search(tmp_path, trials=2, progress=True)
    assert 'tuning: 100%' in capfd.readouterr().err


def test_trials_on_file_are_not_run_again(whole, tmp_path, monkeypatch):
    result, _ = whole
    search(tmp_path, trials=1)
    search(tmp_path, trials=2)
    monkeypatch.setattr(LitRecommender, 'setup', None)
    assert len(search(tmp_path, trials=1).trials) == 2
    monkeypatch.undo()
    found = search(tmp_path)
    assert without_seconds(found) == without_seconds(result)


def test_a_killed_trial_continues(whole, tmp_path, monkeypatch):
    result, _ = whole
    start, epochs = LitRecommender.on_train_epoch_start, []

    def stop(self):
        start(self)
        epochs.append(self.current_epoch)
        if len(epochs) == 6:  # In the last epoch of the second trial.
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LitRecommender, 'on_train_epoch_start', stop)
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path)
    assert (tmp_path / 'trial-001' / 'last.ckpt').is_file()
    epochs.clear()
    monkeypatch.setattr(LitRecommender, 'on_train_epoch_start', stop)
    found = search(tmp_path)
    assert epochs == [2, 0, 1, 2]
    assert without_seconds(found) == without_seconds(result)


def test_bad_trials_are_pruned(tmp_path):
    """By the median of the earlier trials that were completed."""
    result = search(tmp_path / 'pruned', trials=13, epochs=4)
    pruned = [place for place, x in enumerate(result.trials) if x['state'] == 'pruned']
    assert pruned and min(pruned) >= 5
    for place in pruned:
        history = result.trials[place]['history']
        others = [
            value
            for trial in result.trials[:place]
            for epoch, value in trial['history']
            if epoch == history[-1][0] and trial['state'] == 'complete'
        ]
        assert max(value for _, value in history) < statistics.median(others)
    assert any(len(result.trials[place]['history']) < 4 for place in pruned)
    # The pruner and the sampler get the trials on file.
    for trials in (7, 13):
        again = search(tmp_path / 'parts', trials=trials, epochs=4)
    assert without_seconds(again) == without_seconds(result)
    whole = search(tmp_path / 'whole', trials=7, epochs=4, prune=False)
    assert {trial['state'] for trial in whole.trials} == {'complete'}


def test_a_trial_that_diverges_has_failed(tmp_path):
    result = search(tmp_path, {'fit.lr': [1e-2, 1e18]}, trials=6)
    states = {trial['params']['fit.lr']: trial['state'] for trial in result.trials}
    assert states == {1e-2: 'complete', 1e18: 'failed'}
    assert result.params == {'fit.lr': 1e-2}
    failing = {'preset': PRESET | {'fit': {'lr': 1e18}}, 'trials': 1}
    with pytest.raises(ValueError, match=r'no trial .* training diverged'):
        search(tmp_path / 'failing', {'fit.lr': [1e18, 1e17]}, **failing)
    assert not (tmp_path / 'failing' / 'preset.json').exists()


def test_a_blend_is_tuned_as_a_whole(tmp_path):
    preset = PRESET | {'companions': {'ease': {'l2_weight': 10.0}}}
    space = {'companions.ease.l2_weight': (1.0, 100.0, 'log')}
    models = []

    def build_one(preset):
        models.append(build(preset))
        return models[-1]

    found = search(tmp_path, space, build=build_one, preset=preset, trials=2)
    weight = found.params['companions.ease.l2_weight']
    assert found.preset['companions'] == {'ease': {'l2_weight': weight}}
    model = models[1 + found.trials.index(max(found.trials, key=lambda x: x['value']))]
    assert model.blends
    data = InteractionDataModule(DATA)
    metrics = evaluate_ranker(model, data.val_items, data.train_items, (20,))
    assert sum(metrics.values()) == pytest.approx(found.value)


def test_a_data_module_has_fixed_batches(tmp_path):
    module = InteractionDataModule(DATA, batch_size=64)
    found = search(tmp_path, {'fit.lr': (1e-3, 1e-1)}, data=module, trials=1)
    assert found.trials[0]['state'] == 'complete'
    with pytest.raises(ValueError, match=r"HeteroData to tune 'data\.batch_size'"):
        search(tmp_path / 'other', data=module)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'epochs': 4}, "with another 'epochs': .* got 4"),
        ({'seed': 1}, "with another 'seed'"),
        ({'space': {**SPACE, 'backbone.num_layers': [1, 3]}}, "with another 'space'"),
        ({'preset': PRESET | {'ranking': {}, 'loss': {}}}, "with another 'preset'"),
        ({'data': SyntheticIntents(40, 30, 3)[0]}, "with another 'data'"),
    ],
)
def test_another_search_is_refused(whole, change, message):
    _, out = whole
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ValueError, match=message):
        search(out, **change)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_folder_in_use(tmp_path):
    with FolderLock(tmp_path), pytest.raises(OSError, match='in use by another run'):
        search(tmp_path)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{', r'trial-000\.json is damaged'),
        ('{"params": {}}', r'trial-000\.json must hold the params, .* delete it'),
        (
            '{"params": {"x": 1}, "state": "complete", "value": 1, "history": []}',
            r'trial-000\.json must hold the parameters that the sampler draws',
        ),
    ],
)
def test_a_damaged_trial(tmp_path, text, message):
    search(tmp_path, trials=1)
    (tmp_path / 'trial-000.json').write_text(text)
    with pytest.raises(ValueError, match=message):
        search(tmp_path)


NO_VALIDATION = copy.copy(DATA)
del NO_VALIDATION[RATES].val_edge_label_index


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'build': 3}, "'build' must be a function of a preset .* got int"),
        ({'build': lambda preset: 3}, r"'build\(preset\)' must be a Recommender"),
        ({'data': 3}, "'data' must be a HeteroData, got int"),
        ({'data': NO_VALIDATION}, "'data' must hold validation interactions to tune"),
        ({'preset': {'x': {}}}, "'preset' must be a dictionary of dictionaries"),
        ({'preset': PRESET | {'fit': 3}}, "'preset' must be a dictionary of dictio"),
        (
            {'preset': {'fit': {'lr': torch.ones(1)}}},
            "'preset' must hold values in JSON",
        ),
        ({'trials': 0}, "'trials' must be an integer of at least 1"),
        ({'epochs': 0}, "'epochs' must be an integer of at least 1"),
        ({'prune': 1}, "'prune' must be True or False"),
        ({'seed': 2**32}, "'seed' must be an integer from 0"),
        ({'device': 'x'}, "'device' must be 'auto'"),
        ({'space': {}}, "'space' must be a dictionary such as"),
        (
            {'space': {'lr': (1, 2)}},
            r"'space' must have .* 'PART\.ARGUMENT', .* got 'lr'",
        ),
        ({'space': {3: (1, 2)}}, r"'space' must have .* 'PART\.ARGUMENT', .* got 3"),
        ({'space': {'fit.ks': [1]}}, "arguments of 'fit' .*, got 'fit.ks'"),
        ({'space': {'loss.x': [1]}}, r"arguments of 'loss' \(profile_weight"),
        ({'space': {'companions.ease.x': [1]}}, r"of 'companions' \(none\), got"),
        (
            {'space': {'ranking.temperature': [1]}},
            r"parts that are in 'preset', got 'ranking\.temp.* is empty",
        ),
        *(
            ({'space': {'fit.lr': choices}}, r"'space\['fit.lr'\]' must be \(low, high")
            for choices in (
                *((), (1,), (1, 2, 3, 4), (2, 1), (1, 1), (0, 1, 'log'), (1, 2, 'x')),
                *((1, float('inf')), ('a', 'b'), (True, 2), (1, 10**400)),
                *([], [1, 1], [[1]], [float('nan')], 3, None, 'log', {'low': 1}),
            )
        ),
    ],
)
def test_wrong_arguments_write_nothing(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        search(tmp_path / 'out', **change)
    assert not (tmp_path / 'out').exists()


def test_without_optuna(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'optuna', None)
    with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[tune\]'"):
        search(tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
