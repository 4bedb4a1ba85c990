from __future__ import annotations

import json

from pyg_irllrec.cli.commands.info import _lines
from tests.cli.calls import call


def test_metrics_as_json_and_as_text(capsys, saved):
    assert call('info', saved, '--json') == 0
    found = json.loads(capsys.readouterr().out)
    assert found['metrics'] == {'recall@20': 0.25, 'ndcg@20': 0.125}
    assert call('info', saved / 'bundle') == 0
    assert '  recall@20  0.2500\n' in capsys.readouterr().out


def test_names_and_values_are_aligned():
    assert list(_lines({'a': 1, 'sizes': {'users': 2}, 'bcd': ['x', 'y']})) == [
        'a      1',
        'sizes',
        '  users  2',
        'bcd    x, y',
    ]
