from __future__ import annotations

import json

from benchmarks import harness, transforms_memory


def test_transforms_are_measured_and_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(harness, 'run_apart', lambda work, *of: work(*of))
    out = tmp_path / 'rows.json'
    assert transforms_memory.main(['--edges', '3000', '--json', str(out)]) == 0
    rows = json.loads(out.read_text())['rows']
    assert [row['transform'] for row in rows] == list(transforms_memory.TRANSFORMS)
    assert all(0 < row['edges'] <= 3000 and row['peak_mb'] > 0 for row in rows)
    assert capsys.readouterr().out.count('`KCore(5)`') == 1
