from __future__ import annotations

import json

import pytest

from benchmarks import harness, sampled


def test_a_dry_run_measures_and_shows_every_part(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(harness, 'run_apart', lambda work, *of: work(*of))
    monkeypatch.setattr(sampled, 'DRAWS', 2)
    out = tmp_path / 'rows.json'
    assert sampled.main(['--dry', '--json', str(out)]) == 0
    shown = capsys.readouterr().out
    assert 'toy, 100 nodes | profiles and intents | full graph |  | 0.' in shown
    rows = json.loads(out.read_text())['rows']
    assert {row['part'] for row in rows} == {'cost', 'quality', 'bias'}
    few = [row for row in rows if row.get('num_neighbors') == [5, 5]]
    assert {row['term'] for row in few} == {
        *('intent', 'matching', 'ranking', 'translation')
    }
    for row in few:
        assert row['bias'] == pytest.approx(0, abs=0.1)
