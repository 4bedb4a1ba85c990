r"""Call the command line in this process."""

from __future__ import annotations

import pytest

from pyg_irllrec.cli.main import main


def call(*words: object) -> int:
    r"""Run ``pyg-irllrec`` with these words and return its exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)
