from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from pyg_irllrec.datasets._ingest.cell_location import CellLocation


def to_array(column: Any, cell: CellLocation) -> Any:
    r"""Converts a column to an Arrow array. Strings and numbers in one column become
    strings, as they would in a CSV file.

    Raises:
        ValueError: If it holds other types side by side, or is no column.
    """
    if isinstance(column, (pa.Array, pa.ChunkedArray)):
        return column
    if isinstance(column, Tensor):
        column = column.detach().cpu()
        # NumPy has no bfloat16.
        column = (column.float() if column.is_floating_point() else column).numpy()
    is_list = all(hasattr(column, name) for name in ('__len__', '__getitem__'))
    if not is_list or isinstance(column, (str, bytes, Mapping)):
        cell.fail(f'must be a sequence of values, got {type(column).__name__}')
    if getattr(column, 'ndim', 1) != 1:
        cell.fail(f'must have one value per row, got the shape {tuple(column.shape)}')
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass  # Values of several types, or integers beyond int64.
    texts = [_to_text(value, row, cell) for row, value in enumerate(column)]
    return pa.array(texts, pa.large_string())


def _to_text(value: Any, row: int, cell: CellLocation) -> str | None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            cell.fail(
                'holds half a surrogate pair, which is no text', row, ascii(value)
            )
        return value
    if value is None or type(value).__name__ in ('NAType', 'NaTType'):
        return None
    number = isinstance(value, (int, float, np.integer, np.floating))
    if number and not isinstance(value, bool):
        return None if value != value else str(value)
    cell.fail(
        'must hold values of one type, such as integers or strings, got '
        f'{type(value).__name__} among them',
        row,
    )
