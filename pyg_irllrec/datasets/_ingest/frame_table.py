from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from torch import Tensor

from pyg_irllrec.datasets._ingest.table import check_columns

_BATCH_ROWS = 1 << 18


class FrameTable:
    r"""A :class:`pandas.DataFrame`, or a mapping from names to columns."""

    def __init__(self, frame: Any, name: str, typed: bool = True) -> None:
        if not hasattr(frame, 'keys'):
            raise ValueError(
                f'{name} must be a pandas.DataFrame or map names to columns, got '
                f'{type(frame).__name__}'
            )
        self.frame = frame
        self.name = name
        self.typed = typed

    def columns(self) -> list[str]:
        return list(self.frame)

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        check_columns(self, columns)
        # Whole columns, so that the type of a column does not depend on batches.
        arrays = [_to_array(self.frame[name]) for name in columns]
        table = pa.table(arrays, names=list(columns))
        yield from table.to_batches(max_chunksize=_BATCH_ROWS)

    def location(self, row: int) -> str:
        return f'row {row}'


def _to_array(column: Any) -> Any:
    if isinstance(column, Tensor):
        column = column.cpu().numpy()
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # Values of several types.
        import pandas as pd

        return pa.array(pd.Series(column).map(str, na_action='ignore'))
