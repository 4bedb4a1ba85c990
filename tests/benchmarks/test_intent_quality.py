from __future__ import annotations

import json

import pytest

from benchmarks import intent_quality
from pyg_irllrec.datasets import SyntheticIntents
from tests.examples.data import write_table

pytest.importorskip('pyarrow')
pytest.importorskip('pydantic')


def test_trains_on_what_it_extracts(tmp_path, capsys, monkeypatch):
    data = SyntheticIntents(40, 30, num_intents=4)[0]
    edges = data['user', 'rates', 'item'].edge_index.t().tolist()
    header = ['userId', 'movieId', 'rating', 'timestamp']
    rows = [[user, item, 5, k] for k, (user, item) in enumerate(edges)]
    write_table(tmp_path / 'ratings.csv', header, rows)
    texts = [[k, f'Film {k}', t] for k, t in enumerate(data['item'].profile_text)]
    write_table(tmp_path / 'movies.csv', ['movieId', 'title', 'genres'], texts)
    out = tmp_path / 'rows.json'
    command = ['--seeds', '0', '--variants', 'profile', 'amazon', '--epochs', '2']
    command += ['--root', str(tmp_path), '--json', str(out)]
    monkeypatch.setattr('sys.argv', ['intent_quality.py', *command])
    assert intent_quality.main(command) == 0
    report = json.loads(out.read_text())
    assert str(tmp_path) not in report['command']
    names = [(row['variant'], row['seed'], row['split']) for row in report['rows']]
    assert names == [('profile', 0, 'random'), ('amazon', 0, 'random')]
    assert all(0 < row['recall@20'] <= 1 for row in report['rows'])
    assert (
        f'| amazon | {report["rows"][1]["recall@20"]:.4f} |' in capsys.readouterr().out
    )


def test_differences_are_of_the_same_seed():
    recall = {'profile': (0.1, 0.5, 0.3), 'intents': (0.2, 0.6, 0.4)}
    rows = [
        {'variant': name, 'seed': seed, 'recall@20': value, 'ndcg@20': 0.5}
        for name, values in recall.items()
        for seed, value in enumerate(values)
    ]
    line = intent_quality.difference(rows, 'intents', 'profile')
    assert '+0.1000' in line and 'standard error 0.0000, 3 seeds' in line
    lines = intent_quality.table(rows, list(recall), [0, 1, 2]).splitlines()
    assert lines[-1] == '| intents | 0.2000 | 0.6000 | 0.4000 | 0.4000 | 0.5000 |'
