from __future__ import annotations

import json

import pandas as pd
import pytest

from benchmarks import data_pipeline


def test_steps_are_timed_and_written(tmp_path, capsys):
    out = tmp_path / 'rows.json'
    assert data_pipeline.main(['--rows', '3000', '--json', str(out)]) == 0
    printed = capsys.readouterr().out
    assert '| normalise |' in printed and 'peak memory: ' in printed
    rows = json.loads(out.read_text())['rows']
    assert [row['step'] for row in rows] == [
        'read, map ids, write',
        'open',
        'split by time',
        'normalise',
    ]
    assert all(row['seconds'] > 0 and row['peak_mb'] > 0 for row in rows)


def test_agrees_with_pandas_and_scipy(capsys):
    assert data_pipeline.main(['--check', '--rows', '3000']) == 0
    assert 'agree' in capsys.readouterr().out


@pytest.mark.filterwarnings('ignore')
def test_differences_are_named(tmp_path):
    path = tmp_path / 'interactions.csv'
    data_pipeline.write_csv(path, 2000)
    data, _ = data_pipeline.pipeline(path)
    whole = data_pipeline.InteractionDataset(str(tmp_path / 'root'))[0]
    frame = pd.read_csv(path)
    assert data_pipeline.differences(whole, data, frame) == []
    data.edge_weight[3] *= 1.001
    data['user', 'rates', 'item'].val_edge_label_index[0, 0] += 1
    frame.loc[5, 'stars'] += 1
    assert [
        line.split()[:2] for line in data_pipeline.differences(whole, data, frame)
    ] == [
        ['ratings', 'differ'],
        ['the', 'splits'],
        ['the', 'normalised'],
    ]
