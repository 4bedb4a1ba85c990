"""Converts columns to ratings and texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.convert import convert, is_text_or_number, try_casts
from pyg_irllrec.datasets._ingest.decode import decode
from pyg_irllrec.typing import FloatArray


def to_ratings(values: Any, cell: CellLocation) -> npt.NDArray[np.float32]:
    r"""Converts a column to finite numbers."""
    values = decode(values)
    if values.null_count > 0:
        cell.fail_where(pc.is_null(values), 'lacks a rating')
    if not is_text_or_number(values.type):
        cell.fail(f'must hold numbers, got {values.type}')
    casts = (_double, _trimmed_double)
    numbers = try_casts(values, casts)
    if numbers is None:
        if pa.types.is_large_string(values.type):
            comma = pc.match_substring_regex(values, r'^\s*-?[0-9.]+,[0-9]+\s*$')
            cell.fail_where(comma, 'must hold numbers with a decimal point', values)
        numbers = convert(values, casts, cell, 'must hold numbers')
    cell.fail_where(pa.array(np.isnan(numbers)), 'lacks a rating (NaN)')
    with np.errstate(over='ignore'):
        ratings = numbers.astype(np.float32)
    cell.fail_where(
        pa.array(np.isinf(ratings)), 'must hold finite float32 numbers', values
    )
    return ratings


def _double(values: Any) -> FloatArray:
    # Large integers are rounded, as all are to float32.
    safe = not pa.types.is_integer(values.type)
    cast = values.cast(pa.float64(), safe=safe)
    out: FloatArray = cast.to_numpy(zero_copy_only=False)
    return out


def _trimmed_double(values: Any) -> FloatArray:
    return _double(pc.utf8_trim_whitespace(values))


def to_texts(values: Any) -> Any:
    r"""Converts a column to an Arrow array of :obj:`large_string`. Missing values, NaN
    and blank texts are null."""
    values = decode(values)
    if not pa.types.is_large_string(values.type):
        texts = [_to_str(value) for value in values.to_pylist()]
        values = pa.array(texts, pa.large_string())
    values = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.equal(values, ''), None, values)


def _to_str(value: object) -> Any:
    if value is None or value != value:
        return None
    if isinstance(value, list):
        return ', '.join(str(part) for part in value if part is not None)
    return str(value)
