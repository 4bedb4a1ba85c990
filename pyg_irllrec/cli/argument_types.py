r"""Types of command-line arguments, for :obj:`add_argument(type=...)`."""

from __future__ import annotations

from argparse import ArgumentTypeError


def positive_int(text: str) -> int:
    r"""An integer above zero."""
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f'must be a positive integer, got {text!r}')
    return int(text)


def separator(text: str) -> str:
    r"""One character; a tab may be written as a backslash and a :obj:`t`, as it is
    typed in a shell."""
    character = '\t' if text == r'\t' else text
    if len(character) != 1:
        raise ArgumentTypeError(
            rf'must be one character, or \t for a tab, got {text!r}'
        )
    return character
