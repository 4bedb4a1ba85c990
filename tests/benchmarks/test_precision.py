from __future__ import annotations

import json

from benchmarks import precision
from pyg_irllrec.datasets import SyntheticIntents


def test_measures_every_precision_of_a_cpu(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(precision, 'SyntheticIntents', lambda: SyntheticIntents(60, 40))
    out = tmp_path / 'rows.json'
    command = ['--seeds', '0', '1', '--epochs', '1', '--json', str(out)]
    monkeypatch.setattr('sys.argv', ['precision.py', *command])
    assert precision.main(command) == 0
    rows = json.loads(out.read_text())['rows']
    arms = ['32-true', 'bf16-mixed', "32-true, text_storage='half'"]
    assert [(row['seed'], row['arm']) for row in rows] == [
        (seed, arm) for seed in (0, 1) for arm in arms
    ]
    assert '| `bf16-mixed` |' in capsys.readouterr().out


def test_costs_are_means_of_runs_with_one_seed():
    rows = [
        {'arm': arm, 'seed': seed, 'recall@20': recall, 'ndcg@20': 0.5}
        for arm, seed, recall in (
            *(('32-true', 0, 0.1), ('32-true', 1, 0.3)),
            *(('tf32', 1, 0.4), ('tf32', 0, 0.1)),
        )
    ]
    first, second = precision.table(rows).splitlines()[2:]
    assert first == '| `32-true` | 0.2000 ± 0.1414 |  | 0.5000 ± 0.0000 |  |'
    assert second.startswith('| `tf32` | 0.2500 ± 0.2121 | +0.0500 |')
