from __future__ import annotations

import json

from tests.cli.calls import call


def test_lines_and_json(capsys):
    assert call('doctor', '--json') == 0
    found = json.loads(capsys.readouterr().out)
    assert call('doctor') == 0
    assert f'Python {found["python"]}, ' in capsys.readouterr().out
