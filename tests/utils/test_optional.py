from __future__ import annotations

import json

import pytest

from pyg_irllrec.utils.optional import import_optional


def test_returns_the_module():
    assert import_optional('json', 'Something', 'data') is json


def test_the_error_names_the_caller_and_the_command():
    with pytest.raises(
        ImportError,
        match=r"Something needs no-such-module, .*`pip install 'pyg_irllrec\[data\]'`",
    ):
        import_optional('no_such_module.part', 'Something', 'data')


def test_a_module_that_cannot_be_loaded_gets_the_same_error(tmp_path, monkeypatch):
    (tmp_path / 'broken_module.py').write_text("raise OSError('undefined symbol')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ImportError, match=r'broken-module, .*undefined symbol'):
        import_optional('broken_module', 'Something', 'sparse')
