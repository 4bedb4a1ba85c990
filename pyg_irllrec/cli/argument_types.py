r"""Types for :meth:`argparse.ArgumentParser.add_argument`."""

from __future__ import annotations

from argparse import ArgumentTypeError


def positive_int(text: str) -> int:
    r"""Parse an integer of at least 1."""
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f'must be a positive integer, got {text!r}')
    return int(text)
