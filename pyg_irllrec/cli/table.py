from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from pyg_irllrec.utils.printable import printable


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    r"""Lay out a table in aligned lines: numbers to the right, text to the left.

    Args:
        header (sequence of str): The names of the columns.
        rows (iterable): Rows with a value per column. Floats are printed with four
            decimals, and :obj:`None` as a blank.

    Returns:
        The header and one line per row.
    """
    values = list(rows)
    cells = [list(header), *([_show(each) for each in row] for row in values)]
    widths = [max(map(_width, column)) for column in zip(*cells)]
    right = [
        all(isinstance(each, (int, float)) for each in column if each is not None)
        for column in zip(*values)
    ] or [False] * len(header)
    return ['  '.join(map(_pad, line, widths, right)).rstrip() for line in cells]


def _show(value: object) -> str:
    if value is None:
        return ''
    return f'{value:.4f}' if isinstance(value, float) else printable(value)


def _pad(text: str, width: int, right: bool) -> str:
    space = ' ' * (width - _width(text))
    return space + text if right else text + space


def _width(text: str) -> int:
    r"""The width of a text in terminal columns: two for a wide (for example Chinese)
    character, none for a combining mark."""
    return sum(
        2 if unicodedata.east_asian_width(each) in 'WF' else 1
        for each in text
        if not unicodedata.combining(each)
    )
