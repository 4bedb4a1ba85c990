from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Command(NamedTuple):
    r"""A command, as the command line registers it."""

    function: Callable[..., None]
    """What it does. Its name, arguments and docstring are the command's name, options
    and help."""
    examples: str
    """Calls that the help shows, as they are typed."""
    hint: str = ''
    """How to continue after an interruption, or where a file could not be written."""
