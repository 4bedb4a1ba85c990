r"""The command line, in this process."""

from __future__ import annotations

import pytest

from pyg_irllrec.cli.main import main


def call(*words: object) -> int:
    r"""The exit code of ``pyg-irllrec`` with these words."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)
