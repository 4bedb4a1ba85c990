from __future__ import annotations

import csv
import json

import pytest

from tests.examples.run_example import run_example
from tests.examples.small_data import shrink

pytest.importorskip('matplotlib')


@pytest.mark.parametrize('args', [('--epochs', 0), ('--seed', -1)])
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, args):
    done = run_example('demo', *args, cwd=tmp_path)
    assert done.returncode == 2
    assert 'error: ' in done.stderr and 'Traceback' not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_shows_and_writes_everything(tmp_path, monkeypatch):
    shrink(monkeypatch)
    done = run_example('demo', '--epochs', 2, '--out', 'out', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'LightGCN with intents' in done.stdout and 'gain' in done.stdout
    assert done.stdout.count('\nUser ') == 3 and 'learned intent: ' in done.stdout
    assert 'training' in done.stderr
    out = tmp_path / 'out'
    metrics = json.loads((out / 'metrics.json').read_text())
    assert set(metrics) == {'LightGCN', 'LightGCN with intents'}
    with open(out / 'metrics.csv') as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]['recall@20']) == metrics['LightGCN with intents']['recall@20']
    assert (out / 'demo.png').read_bytes().startswith(b'\x89PNG')
    assert (out / 'lightgcn' / 'best.ckpt').is_file()
