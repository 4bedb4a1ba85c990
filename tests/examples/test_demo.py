from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / 'examples' / 'demo.py'


def test_bad_input_gets_one_line_and_nothing_is_written(tmp_path):
    for args in (['--epochs', '0'], ['--seed', '-1']):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *args],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert 'error: ' in done.stderr and 'Traceback' not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_shows_and_writes_everything(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), '--epochs', '2', '--out', 'out'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert 'LightGCN with intents' in done.stdout and 'gain' in done.stdout
    assert done.stdout.count('\nUser ') == 3 and 'intent found: ' in done.stdout
    assert 'training' in done.stderr
    out = tmp_path / 'out'
    metrics = json.loads((out / 'metrics.json').read_text())
    assert set(metrics) == {'LightGCN', 'LightGCN with intents'}
    with open(out / 'metrics.csv') as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]['recall@20']) == metrics['LightGCN with intents']['recall@20']
    assert (out / 'demo.png').read_bytes().startswith(b'\x89PNG')
    assert (out / 'lightgcn' / 'best.ckpt').is_file()
