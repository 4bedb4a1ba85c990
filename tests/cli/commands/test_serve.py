from __future__ import annotations

import sys

from pyg_irllrec.serving import http
from tests.cli.calls import call


def test_options_reach_the_service(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(
        http, 'serve', lambda *args, **options: calls.append((args, options))
    )
    (tmp_path / 'bundle').mkdir()
    (tmp_path / 'bundle' / 'bundle.json').touch()
    assert call('serve', tmp_path) == 0
    options = [
        '--host',
        '0.0.0.0',
        '--port',
        0,
        '--workers',
        3,
        '--no-reload',
        '--index',
        'faiss',
    ]
    assert call('serve', tmp_path / 'bundle', *options) == 0
    defaults = {'threads': 2, 'reload_seconds': 1.0, 'device': 'cpu', 'index': 'exact'}
    assert calls == [
        ((tmp_path / 'bundle', '127.0.0.1', 8000), defaults),
        (
            (tmp_path / 'bundle', '0.0.0.0', 0),
            {**defaults, 'threads': 3, 'reload_seconds': None, 'index': 'faiss'},
        ),
    ]


def test_a_missing_extra_is_named(monkeypatch, tmp_path, capsys):
    import pyg_irllrec.serving

    monkeypatch.setitem(sys.modules, 'fastapi', None)
    monkeypatch.delattr(pyg_irllrec.serving, 'http')
    for name in [each for each in sys.modules if each.startswith(http.__name__)]:
        monkeypatch.delitem(sys.modules, name)
    assert call('serve', tmp_path) == 2
    assert "pip install 'pyg_irllrec[serve]'" in capsys.readouterr().err
