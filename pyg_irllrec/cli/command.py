from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Command(NamedTuple):
    r"""A command of the command line."""

    function: Callable[..., None]
    """The work of the command. Its name, arguments and docstring become the name,
    options and help of the command."""
    examples: str
    """Example calls for ``--help``, one per line."""
    options: Mapping[str, str] = {}
    """Text in the package's errors and notes, and the option that replaces it. An
    argument in quotes, such as ``"'k'"``, is replaced only where a sentence is about
    it."""
    hint: str = ''
    """How to continue after an interruption or a failed write."""
