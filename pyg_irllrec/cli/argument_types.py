r"""Types of command-line arguments, for :obj:`add_argument(type=...)`."""

from __future__ import annotations

from argparse import ArgumentTypeError


def positive_int(text: str) -> int:
    r"""An integer above zero."""
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f'must be a positive integer, got {text!r}')
    return int(text)
