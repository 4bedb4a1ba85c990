"""Convert columns to ratings and texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.convert import (
    convert,
    is_text_or_number,
    to_double,
    to_trimmed_double,
    try_casts,
)
from pyg_irllrec.datasets._ingest.decode import decode
from pyg_irllrec.datasets._ingest.text_column import text_array


def to_ratings(values: Any, cell: CellLocation) -> npt.NDArray[np.float32]:
    r"""Convert a column to finite numbers."""
    values = decode(values, cell)
    if values.null_count > 0:
        cell.fail_where(pc.is_null(values), 'lacks a rating')
    if not is_text_or_number(values.type):
        cell.fail(f'must hold numbers, got {values.type}')
    casts = (to_double, to_trimmed_double)
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


def to_texts(values: Any, cell: CellLocation) -> Any:
    r"""Convert a column to an Arrow array of :obj:`large_string`. Missing values, NaN
    and blank texts become null."""
    values = decode(values, cell)
    if pa.types.is_map(values.type):  # Would become a list of pairs.
        cell.fail(f'must hold texts, numbers or lists of them, got {values.type}')
    if not pa.types.is_large_string(values.type):
        values = text_array(values.to_pylist(), cell)
    values = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.equal(values, ''), None, values)
