from __future__ import annotations

import importlib
import sys

import pytest

from pyg_irllrec.training import _require_lightning


def test_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, 'lightning.pytorch', None)
    with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[train\]'"):
        importlib.reload(_require_lightning)
