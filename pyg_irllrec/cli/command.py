from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Command(NamedTuple):
    r"""A command, as the command line registers it."""

    function: Callable[..., None]
    """What it does. Its name, arguments and docstring are the command's name, options
    and help."""
    examples: str
    """Calls that the help shows, as they are typed."""
    options: Mapping[str, str] = {}
    """What options are called in errors and notes of the package. A name in quotes is
    an argument, and is replaced where a sentence is about it."""
    hint: str = ''
    """How to continue after an interruption, or where a file could not be written."""
