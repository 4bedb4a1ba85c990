from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import distributed
from benchmarks.cost_model import Setting


def test_the_cost_model_equals_the_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = Setting(10_000, 50_000, 16, 2, 256, 24, 2)
    settings = common, common._replace(negatives='batch', crossing=0.2, slices=2)
    monkeypatch.setattr(distributed, 'SETTINGS', settings)
    out = tmp_path / 'rows.json'
    monkeypatch.setattr('sys.argv', ['distributed.py', 'model', '--json', str(out)])
    distributed.main()
    rows = json.loads(out.read_text())['rows']
    assert len(rows) == 22
    # In a step this small, the peak depends on when Python frees small tensors.
    steps = [row for row in rows if (row['kind'], row['term']) == ('memory', 'step')]
    assert all(0.5 < row['ratio'] < 1.5 for row in steps)
    assert all(row['agrees'] for row in rows if row not in steps)
    assert all(row['counted'] > 0 for row in rows)


@pytest.mark.parametrize('section', ['train', 'shards'])
def test_ranks_agree_and_are_timed(
    monkeypatch: pytest.MonkeyPatch, section: str
) -> None:
    monkeypatch.setattr('sys.argv', ['distributed.py', section, '--quick'])
    assert distributed.main() == 0


def test_a_wrong_cost_model_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(distributed, 'model', lambda quick: [{'agrees': False}])
    monkeypatch.setattr('sys.argv', ['distributed.py', 'model'])
    assert distributed.main() == 1
    assert 'off by too much' in capsys.readouterr().err
