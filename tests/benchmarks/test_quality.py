from __future__ import annotations

import json

import pytest
import torch

from pyg_irllrec.nn import Ranker
from pyg_irllrec.presets import get_preset
from pyg_irllrec.utils import UserItems

pytest.importorskip('optuna')

from benchmarks import (
    _quality_arms,
    _quality_report,
    _quality_store,
    quality,
)
from benchmarks._quality_arms import measure, parse_arm
from benchmarks._quality_report import Comparison, compare, holm
from benchmarks._quality_store import Case, Store

ARMS = (
    'ease',
    'ease-shuffled',
    'lightgcn-softmax-none-d8',
    'lightgcn-bpr-profile-d8',
    'lightgcn-directau-nodes-d8',
)
COMMAND = ('--data', 'toy', '--seeds', '0', '1', '--trials', '2', '--epochs', '2')


def run(out, *more):
    return quality.main([*COMMAND, '--out', str(out), '--arms', *ARMS, *more])


@pytest.fixture(scope='module')
def out(tmp_path_factory):
    """The runs of a small command."""
    folder = tmp_path_factory.mktemp('quality')
    assert run(folder) == 0
    return folder


def test_existing_runs_are_not_run_again(out, monkeypatch, capsys, tmp_path):
    runs = {path: path.read_bytes() for path in out.rglob('*.json')}
    monkeypatch.setattr(_quality_store, 'train', lambda *_: pytest.fail('trained'))
    monkeypatch.setattr('sys.argv', ['quality.py', '--out', str(out)])
    written = [tmp_path / 'rows.json', tmp_path / 'picture.png']
    assert run(out, '--json', str(written[0]), '--png', str(written[1])) == 0
    assert {path: path.read_bytes() for path in out.rglob('*.json')} == runs
    text = capsys.readouterr().out
    report = json.loads(written[0].read_text())
    assert str(out) not in report['command']
    assert [row['arm'] for row in report['rows']] == list(ARMS)
    for row in report['rows']:
        assert row['seeds'] == [0, 1]
        mean = sum(row['test']['recall']) / 2
        assert 0 < mean <= 1 and f'| {row["arm"]} | {mean:.4f}' in text
    assert 'toy | ease-shuffled vs ease |' in text
    assert written[1].read_bytes().startswith(b'\x89PNG')


def test_cells_without_runs_are_empty(out, capsys):
    more = ('--report', '--data', 'toy', 'synthetic', '--seeds', '0', '1', '2')
    assert run(out, *more) == 0
    text = capsys.readouterr().out
    assert 'synthetic' not in text and '| lightgcn-softmax-none-d8 | ' in text
    rows = _quality_report.collect(
        Store(out, None, 2, 2), [(Case('toy'), parse_arm(arm)) for arm in ARMS], [0, 5]
    )
    assert [row['seeds'] for row in rows] == [[0, 5], [0], [0], [0], [0]]
    assert _quality_report.collect(Store(out, None, 3, 2), [], [0]) == []


def test_a_killed_search_continues_with_the_same_trials(out, tmp_path, monkeypatch):
    case, arm = Case('toy'), parse_arm('lightgcn-softmax-none-d8')
    store = Store(tmp_path, None, 2, 2)
    train = _quality_store.train
    seen = []

    def killed(arm, name, data, params, *rest):
        seen.append(params)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return train(arm, name, data, params, *rest)

    monkeypatch.setattr(_quality_store, 'train', killed)
    with pytest.raises(KeyboardInterrupt):
        store.tune(case, arm, 0)
    best = store.tune(case, arm, 0)
    assert len(seen) == 3 and seen[1] == seen[2] != seen[0]
    assert best == Store(out, None, 2, 2).tune(case, arm, 0)
    assert seen[0]['fit.lr'] == 1e-3  # The preset comes first.


def test_tuning_ignores_the_test_part(tmp_path, monkeypatch):
    """Here, the better a trial is on the test part, the worse it is in validation."""

    def run(store, case, arm, data, params, seed):
        value = params['model.l2_weight']
        return {
            'seconds': 0.0,
            'val': {'recall': 1 / value, 'ndcg': 1 / value},
            'test': {'recall': value, 'ndcg': value},
        }

    monkeypatch.setattr(_quality_store, '_train', run)
    arm, store = parse_arm('ease'), Store(tmp_path, None, 5, 1)
    best = store.tune(Case('toy'), arm, 0)
    runs = [json.loads(path.read_text()) for path in tmp_path.rglob('*-0.json')]
    tried = [run['params'] for run in runs if 'test' in run]
    assert len(tried) == 5
    assert best == min(tried, key=lambda params: params['model.l2_weight'])


@pytest.mark.parametrize(
    'message',
    ['scores must be finite, got nan for user 0', "training diverged: 'loss' is nan"],
)
def test_a_run_that_diverges_is_the_worst(tmp_path, monkeypatch, message):
    def train(*args):
        raise ValueError(message)

    monkeypatch.setattr(_quality_store, 'train', train)
    arm, store = parse_arm('ease'), Store(tmp_path, None, 2, 1)
    assert 'left out, every trial failed' in quality.run_cell(
        store, [0], (Case('toy'), arm)
    )

    def broken(*args):
        raise ValueError("'num_layers' must be a count")

    monkeypatch.setattr(_quality_store, 'train', broken)
    with pytest.raises(ValueError, match='num_layers'):
        store.run(Case('toy'), arm, {'model.l2_weight': 1.0}, 0)


def test_absent_data_is_left_out(tmp_path):
    cell = Case('movie'), parse_arm('ease')
    line = quality.run_cell(Store(tmp_path, tmp_path, 1, 1), [0], cell)
    assert line.startswith("movie, ease: left out, 'root' must be the folder of all ")


def test_datasets_outside_the_package_need_a_root(capsys):
    assert quality.main(['--data', 'toy', 'movie']) == 2
    assert "'--root' must be the folder of all datasets" in capsys.readouterr().err


def test_a_blend_uses_the_tuned_companion(tmp_path):
    arm, store = parse_arm('lightgcn-bpr-profile-blend-d8'), Store(tmp_path, None, 1, 1)
    params = store.tune(Case('toy'), arm, 0)
    alone = store.tune(Case('toy'), parse_arm('ease-profile'), 0)
    assert {f'companion.{name[6:]}': value for name, value in alone.items()} == {
        name: value for name, value in params.items() if name.startswith('companion')
    }


def test_a_recipe_belongs_to_the_dataset():
    arm = parse_arm('lightgcn-bpr-full-recipe')
    assert _quality_arms.space_of(arm) == {}
    for name, preset in (('yelp', 'yelp'), ('toy', 'own')):
        recipe = _quality_arms.recipe_of(arm, name)
        assert recipe == get_preset('lightgcn', preset, 'full', 'authors')


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('easy', 'unknown model'),
        ('lightgcn-none', 'needs a loss'),
        ('ease-softmax', "unknown word, 'softmax'"),
        ('lightgcn-bpr-none-x3', "unknown word, 'x3'"),
    ],
)
def test_unknown_arms_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        parse_arm(name)


@pytest.mark.parametrize('what', quality.ARMS)
def test_every_comparison_has_arms(what):
    args = quality.parse_args(['--what', what, '--data', 'amazon', 'xrec-yelp'])
    cells = quality.cells_of(args)
    assert len(cells) == len(set(cells)) > 1
    arms = {arm for case, arm in cells if case.data == 'amazon'}
    assert all(arm.text == 'none' for arm in arms)  # It has no texts.
    for _, arm in cells:
        space = _quality_arms.space_of(arm)
        for name, value in _quality_arms.defaults_of(arm).items():
            choices = getattr(space[name], 'choices', ())
            assert value in choices or space[name].low <= value <= space[name].high


def test_parts_together_are_all_cells():
    args = quality.parse_args(['--what', 'table', '--data', 'xrec-yelp'])
    cells = quality.cells_of(args)
    parts = [quality.part(f'{number}/3') for number in (1, 2, 3)]
    shared = [cell for first, step in parts for cell in cells[first::step]]
    assert len(shared) == len(cells) and set(shared) == set(cells)
    for wrong in ('0/3', '4/3', '2', 'a/b'):
        with pytest.raises(SystemExit):
            quality.parse_args(['--part', wrong])


class Fixed(Ranker):
    """Item 0 first, for all."""

    def score(self, users):
        return -torch.arange(30.0).expand(users.numel(), -1)


def test_measured_metrics():
    exclude = UserItems(torch.tensor([[0, 1, 1], [29, 0, 28]]), 2, 30)
    label = UserItems(torch.tensor([[0, 0, 1], [0, 25, 2]]), 2, 30)
    found = measure(Fixed(2, 30), label, exclude)
    assert found['recall'] == pytest.approx((0.5 + 1) / 2)
    assert found['mrr'] == pytest.approx((1 + 1 / 2) / 2)
    assert found['precision'] == pytest.approx(1 / 20)
    assert found['coverage'] == pytest.approx(21 / 30)  # 0 to 19, and 20.
    assert found['popularity'] == pytest.approx(1 / 20 / 2)
    assert (found['recall/1'], found['recall/2']) == pytest.approx((0.5, 1))


def row(arm, values, seeds=(0, 1, 2)):
    test = {'recall': list(values), 'ndcg': list(values)}
    return {'case': 'toy', 'arm': arm, 'seeds': list(seeds), 'test': test}


def test_comparisons_use_the_same_seeds():
    rows = [
        row('ease', [0.1, 0.1, 0.1]),
        row('lightgcn-bpr-none', [0.2, 0.3, 0.4]),
        row('lightgcn-bpr-profile', [0.31, 0.42], seeds=(1, 2)),
        row('lightgcn-bpr-none-blend', [0.3, 0.3, 0.3]),
    ]
    found = {(each.new, each.old): each for each in compare(rows)}
    text = found['lightgcn-bpr-profile', 'lightgcn-bpr-none']
    assert text.seeds == 2 and text.difference == pytest.approx(0.73 / 0.7 - 1)
    assert 0 < text.p < 1
    blend = found['lightgcn-bpr-none-blend', 'ease']
    assert blend.difference == pytest.approx(2) and blend.p is None
    assert len(found) == 2


def test_p_values_are_corrected():
    values = [0.01, 0.04, None, 0.03]
    found = [Comparison('', '', '', '', 0.0, 5, p) for p in values]
    corrected = [each.p for each in holm(found)]
    assert corrected == [pytest.approx(0.03), pytest.approx(0.06), None, 0.06]
