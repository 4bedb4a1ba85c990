from __future__ import annotations

import pytest

from benchmarks import cost_picture


def test_writes_a_picture(tmp_path, monkeypatch):
    path = tmp_path / 'lines.png'
    monkeypatch.setattr('sys.argv', ['cost_picture.py', '--png', str(path)])
    assert cost_picture.main() == 0
    assert path.read_bytes().startswith(b'\x89PNG')


def test_lines_share_the_setting_of_the_points():
    row = {'dim': 8, 'layers': 2, 'batch': 16, 'text_width': 4, 'slices': 2}
    setting = cost_picture.setting(row, 100, 4, 0.2)
    assert (setting.edges, setting.dim, setting.slices) == (500, 8, 2)
    assert setting.processes == 4 and setting.crossing == pytest.approx(0.2)
