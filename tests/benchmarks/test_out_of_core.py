from __future__ import annotations

import json

import pytest

from benchmarks import harness, out_of_core
from pyg_irllrec.datasets._ingest import partition_rows


@pytest.fixture(autouse=True)
def bucket_rows(monkeypatch):
    monkeypatch.setattr(partition_rows, '_BUCKET_ROWS', partition_rows._BUCKET_ROWS)


def test_buckets_agree(capsys):
    assert out_of_core.main(['--dry']) == 0
    assert capsys.readouterr().out == 'results agree\n'


def test_steps_are_measured_and_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(harness, 'run_apart', lambda work, *of: work(*of))
    monkeypatch.setattr(out_of_core, 'POLL_SECONDS', 0.001)
    out = tmp_path / 'rows.json'
    words = ['--rows', '3000', '--root', str(tmp_path), '--json', str(out)]
    assert out_of_core.main(words) == 0
    assert '| 3,000 | open and filter |' in capsys.readouterr().out
    rows = json.loads(out.read_text())['rows']
    assert [row['step'] for row in rows] == ['prepare', 'open_and_filter']
    assert all(row['peak_mb'] >= row['private_mb'] > 0 for row in rows)
    assert rows[0]['rows'] == 3000 >= rows[0]['interactions']
    assert list(tmp_path.iterdir()) == [out]
