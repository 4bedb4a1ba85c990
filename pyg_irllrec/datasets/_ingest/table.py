from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class Table(Protocol):
    r"""A table that is read in batches of rows, and of which only some columns are
    read."""

    name: str
    """Its name in errors."""

    def columns(self) -> list[str]:
        r"""The names of all columns."""

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        r"""Record batches of these columns, in the order of rows."""

    def location(self, row: int) -> str:
        r"""The place of a row, which is counted from zero, in errors."""


def check_columns(table: Table, names: Sequence[str]) -> None:
    r"""Raise a :class:`ValueError` for a column that is missing or repeated."""
    columns = table.columns()
    for name in names:
        if columns.count(name) != 1:
            count = 'none' if name not in columns else 'more than one'
            found = ', '.join(map(repr, columns))
            raise ValueError(
                f'{table.name} must have one column {name!r}, got {count}: its columns '
                f'are {found}'
            )
