from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pyg_irllrec.datasets import SyntheticIntents

pytest.importorskip('pyarrow')
pytest.importorskip('pydantic')

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'


def write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with open(path, 'w', newline='') as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(rows)


def test_trains_on_what_it_extracts(tmp_path):
    data = SyntheticIntents(40, 30, num_intents=4)[0]
    edges = data['user', 'rates', 'item'].edge_index.t().tolist()
    header = ['userId', 'movieId', 'rating', 'timestamp']
    rows = [[user, item, 5, k] for k, (user, item) in enumerate(edges)]
    write(tmp_path / 'ratings.csv', header, rows)
    texts = [[k, f'Film {k}', t] for k, t in enumerate(data['item'].profile_text)]
    write(tmp_path / 'movies.csv', ['movieId', 'title', 'genres'], texts)
    out = tmp_path / 'rows.json'
    command = [sys.executable, str(BENCHMARKS / 'intent_quality.py'), '--seeds', '0']
    command += ['--variants', 'profile', 'intents', '--epochs', '2']
    done = subprocess.run(
        [*command, '--root', str(tmp_path), '--json', str(out)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert str(tmp_path) not in report['command']
    names = [(row['variant'], row['seed'], row['split']) for row in report['rows']]
    assert names == [('profile', 0, 'random'), ('intents', 0, 'random')]
    assert all(0 < row['recall@20'] <= 1 for row in report['rows'])
    assert f'| intents | {report["rows"][1]["recall@20"]:.4f} |' in done.stdout


def test_differences_are_of_the_same_seed(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import intent_quality

    recall = {'profile': (0.1, 0.5, 0.3), 'intents': (0.2, 0.6, 0.4)}
    rows = [
        {'variant': name, 'seed': seed, 'recall@20': value, 'ndcg@20': 0.5}
        for name, values in recall.items()
        for seed, value in enumerate(values)
    ]
    said = intent_quality.difference(rows, 'intents', 'profile')
    assert '+0.1000' in said and 'standard error 0.0000, 3 seeds' in said
    lines = intent_quality.table(rows, list(recall), [0, 1, 2]).splitlines()
    assert lines[-1] == '| intents | 0.2000 | 0.6000 | 0.4000 | 0.4000 | 0.5000 |'
