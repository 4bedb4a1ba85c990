from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.to_array import (
    as_column,
    check_text,
    has_type,
    to_array,
)


def text_column(column: Any, cell: CellLocation) -> Any:
    r"""Convert a column of texts to an Arrow array. Python values become texts one by
    one: Arrow would give them one common type, so that the text of a row would depend
    on other rows."""
    column = as_column(column, cell)
    is_arrow = isinstance(column, (pa.Array, pa.ChunkedArray))
    if is_arrow or has_type(column):
        return to_array(column, cell)
    return text_array(column, cell)


def text_array(values: Sequence[Any], cell: CellLocation) -> Any:
    r"""Convert Python values to an Arrow array of :obj:`large_string`, with null for
    missing values."""
    texts = [_text_of(value, row, cell) for row, value in enumerate(values)]
    return pa.array(texts, pa.large_string())


def _text_of(value: Any, row: int, cell: CellLocation) -> str | None:
    if isinstance(value, str):
        check_text(value, row, cell)
        return value
    if isinstance(value, (list, tuple, np.ndarray)):
        parts = (_text_of(part, row, cell) for part in value)
        return ', '.join(part.strip() for part in parts if part and part.strip())
    if isinstance(value, (dict, bytes)):
        kind = 'a record' if isinstance(value, dict) else 'bytes'
        cell.fail(
            f'must hold texts, numbers or lists of them, got {kind}: write the text '
            'itself into a column',
            row,
        )
    if value is None or type(value).__name__ in ('NAType', 'NaTType'):
        return None
    return None if value != value else str(value)
