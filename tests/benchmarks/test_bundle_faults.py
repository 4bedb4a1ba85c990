from __future__ import annotations

import json
import sys

import pytest

from benchmarks import bundle_faults


def test_damage_is_counted(tmp_path, capsys):
    out = tmp_path / 'out.json'
    assert (
        bundle_faults.main(['--trials', '2', '--kills', '0', '--json', str(out)]) == 0
    )
    rows = json.loads(out.read_text())['rows']
    assert [row['fault'] for row in rows] == list(bundle_faults.FAULTS)
    for row in rows:
        assert sum(row[verdict] for verdict in bundle_faults.VERDICTS) == 2
    assert "'fault': 'cut'" in capsys.readouterr().out


def test_wrong_scores_and_other_errors_are_counted(monkeypatch):
    other = bundle_faults.make_bundle(1)
    monkeypatch.setattr(bundle_faults, 'load', lambda folder: other)
    (row,) = bundle_faults.damage(1, 0, ['flipped'])
    assert row['WRONG'] == 1

    def fail(folder):
        raise KeyError('x')

    monkeypatch.setattr(bundle_faults, 'load', fail)
    (row,) = bundle_faults.damage(1, 0, ['flipped'])
    assert row['UNCLEAR'] == 1


@pytest.mark.skipif(sys.platform != 'linux', reason='processes are forked')
def test_killed_savers(monkeypatch):
    """Replaces the forks, which are unsafe in a process with threads, by savers that
    either finish or never start."""
    turns = iter([True, True, True, False, True])

    def save_apart(bundle, folder, kill_after):
        if next(turns):
            bundle.save(folder)
        return 0.1

    monkeypatch.setattr(bundle_faults, '_save_apart', save_apart)
    row = bundle_faults.kill_savers(3, 0)
    assert (row['new'], row['old'], row['WRONG']) == (2, 1, 0)
