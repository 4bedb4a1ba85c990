from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.table import check_columns
from pyg_irllrec.datasets._ingest.text_column import text_column
from pyg_irllrec.datasets._ingest.to_array import to_array

_BATCH_ROWS = 1 << 18


class FrameTable:
    r"""A table in memory: a pandas or Arrow table, or a mapping from names to columns.

    Args:
        frame: The table.
        name (str): Its name in error messages.
        texts (sequence of str): The columns that hold texts. (default: :obj:`()`)
    """

    def __init__(self, frame: Any, name: str, texts: Sequence[str] = ()) -> None:
        self.frame = frame
        self.name = name
        self._texts = texts

    def columns(self) -> list[str]:
        if isinstance(self.frame, pa.Table):
            names: list[str] = self.frame.column_names
            return names
        return list(self.frame)

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        check_columns(self, columns)
        # Convert whole columns, so that their types do not depend on batches.
        arrays = [self._array(name) for name in columns]
        lengths = {name: len(array) for name, array in zip(columns, arrays)}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f'{self.name} must have columns of the same length, got {lengths}'
            )
        table = pa.table(arrays, names=list(columns))
        yield from table.to_batches(max_chunksize=_BATCH_ROWS)

    def _array(self, name: str) -> Any:
        convert = text_column if name in self._texts else to_array
        return convert(self.frame[name], CellLocation(self, name, 0))

    def location(self, row: int) -> str:
        return f'row {row}'
