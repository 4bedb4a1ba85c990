from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.table import Table


class CellLocation(NamedTuple):
    r"""The position of a batch of values in its table, for error messages."""

    table: Table
    column: str
    row: int

    def fail(self, reason: str, row: int = 0, value: object = None) -> NoReturn:
        r"""Raise a :class:`ValueError` about one row of the batch."""
        got = '' if value is None else f', got {str(value)[:80]!r}'
        raise ValueError(
            f'{self.table.name}, {self.table.location(self.row + row)}: column '
            f'{self.column!r} {reason}{got}'
        )

    def fail_where(self, wrong: Any, reason: str, values: Any = None) -> None:
        r"""Raise a :class:`ValueError` about the first row that is wrong, if any."""
        row = pc.index(wrong, True).as_py()
        if row >= 0:
            self.fail(reason, row, None if values is None else values[row])
