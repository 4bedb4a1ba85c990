from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import data_pipeline

    return data_pipeline


def test_steps_are_timed_and_written(tmp_path):
    out = tmp_path / 'rows.json'
    script = str(BENCHMARKS / 'data_pipeline.py')
    done = subprocess.run(
        [sys.executable, script, '--rows', '3000', '--json', str(out)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert '| normalise |' in done.stdout and 'peak memory: ' in done.stdout
    rows = json.loads(out.read_text())['rows']
    assert [row['step'] for row in rows] == [
        'read, map ids, write',
        'open',
        'split by time',
        'normalise',
    ]
    assert all(row['seconds'] > 0 and row['peak_mb'] > 0 for row in rows)


def test_agrees_with_pandas_and_scipy(benchmark, capsys):
    assert benchmark.main(['--check', '--rows', '3000']) == 0
    assert 'agree' in capsys.readouterr().out


@pytest.mark.filterwarnings('ignore')
def test_says_what_differs(benchmark, tmp_path):
    path = tmp_path / 'interactions.csv'
    benchmark.write_csv(path, 2000)
    data, _ = benchmark.pipeline(path)
    whole = benchmark.InteractionDataset(str(tmp_path / 'root'))[0]
    frame = pd.read_csv(path)
    assert benchmark.differences(whole, data, frame) == []
    data.edge_weight[3] *= 1.001
    data['user', 'rates', 'item'].val_edge_label_index[0, 0] += 1
    frame.loc[5, 'stars'] += 1
    assert [line.split()[:2] for line in benchmark.differences(whole, data, frame)] == [
        ['ratings', 'differ'],
        ['the', 'splits'],
        ['the', 'normalised'],
    ]
