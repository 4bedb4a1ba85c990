from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class Table(Protocol):
    r"""A table of which some columns are read, in batches of rows."""

    name: str
    """Its name in error messages."""

    def columns(self) -> list[str]:
        r"""The names of all columns."""

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        r"""Yield record batches of these columns, in the order of rows."""

    def location(self, row: int) -> str:
        r"""Describe the position of a row, counted from 0, for error messages."""


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
