from __future__ import annotations

import json

import pytest
import torch

from benchmarks import steering
from pyg_irllrec.datasets import SyntheticIntents


def test_the_share_rises_with_the_dial(tmp_path, capsys, monkeypatch):
    small = SyntheticIntents(60, 60, num_intents=4)
    monkeypatch.setattr(steering, 'SyntheticIntents', lambda: small)
    out, picture = tmp_path / 'rows.json', tmp_path / 'rows.png'
    command = ['--data', 'synthetic', '--seeds', '0', '--epochs', '2']
    command += ['--json', str(out), '--png', str(picture)]
    monkeypatch.setattr('sys.argv', ['steering.py', *command])
    assert steering.main(command) == 0
    rows = json.loads(out.read_text())['rows']
    assert [row['arm'] for row in rows[:: len(steering.DIALS)]] == list(steering.ARMS)
    for arm in steering.ARMS:
        shares = [row['share'] for row in rows if row['arm'] == arm]
        assert shares[0] < shares[2] < shares[-1]
    plain = {row['share'] for row in rows if row['dial'] == 0 and row['arm'] != 'own'}
    assert len(plain) == 1
    assert '| synthetic | words |' in capsys.readouterr().out
    assert picture.stat().st_size > 10_000


def test_measured_share_and_recall():
    scores = torch.arange(30.0).expand(2, -1)  # The best 20 are the items 10 to 29.
    carries = torch.zeros(30, dtype=torch.bool)
    carries[:15] = True
    relevant = torch.zeros(2, 30, dtype=torch.bool)
    relevant[0, [0, 29]] = True
    relevant[1, 12] = True
    share, recall = steering.measure(scores, carries, relevant)
    assert share == pytest.approx(5 / 20) and recall == pytest.approx(0.75)
