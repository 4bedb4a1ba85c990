"""Converts columns to ids, ratings, seconds and texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.table import Table
from pyg_irllrec.typing import FloatArray, IntArray

Cast = Callable[[Any], npt.NDArray[Any]]

_CANONICAL_INTEGER = '^(0|-?[1-9][0-9]{0,17})$'


class CellLocation(NamedTuple):
    r"""The place of a batch of values in its table, for errors."""

    table: Table
    column: str
    row: int

    def fail(self, reason: str, row: int = 0, value: object = None) -> NoReturn:
        r"""Raises a :class:`ValueError` about one row of the batch."""
        got = '' if value is None else f', got {str(value)[:80]!r}'
        raise ValueError(
            f'{self.table.name}, {self.table.location(self.row + row)}: column '
            f'{self.column!r} {reason}{got}'
        )

    def fail_where(self, wrong: Any, reason: str, values: Any = None) -> None:
        r"""Raises a :class:`ValueError` about the first row that is wrong, if any."""
        row = pc.index(wrong, True).as_py()
        if row >= 0:
            self.fail(reason, row, None if values is None else values[row])


def to_ids(values: Any, cell: CellLocation) -> Any:
    r"""Converts a column to ids, an Arrow array of :obj:`int64` or
    :obj:`large_string`."""
    values = _decode(values)
    cell.fail_where(pc.is_null(values, nan_is_null=True), 'lacks an id')
    if pa.types.is_large_string(values.type):
        cell.fail_where(pc.equal(values, ''), 'lacks an id')
        return values
    try:
        if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
            # Pandas turns integers into floats where one was missing.
            return values.cast(pa.int64())
    except pa.ArrowInvalid:
        pass
    cell.fail(f'must hold ids that are integers or strings, got {values.type}')


def parse_integers(ids: Any) -> Any:
    r"""Parses strings as integers, null where they are not written as Python writes
    integers."""
    matches = pc.match_substring_regex(ids, _CANONICAL_INTEGER)
    return pc.if_else(matches, ids, None).cast(pa.int64())


def to_ratings(values: Any, cell: CellLocation) -> npt.NDArray[np.float32]:
    r"""Converts a column to finite numbers."""
    values = _decode(values)
    cell.fail_where(pc.is_null(values), 'lacks a rating')
    numbers = _convert(values, (_double, _trimmed_double), cell, 'must hold numbers')
    cell.fail_where(pa.array(np.isnan(numbers)), 'lacks a rating (NaN)')
    with np.errstate(over='ignore'):
        ratings = numbers.astype(np.float32)
    cell.fail_where(
        pa.array(np.isinf(ratings)), 'must hold finite float32 numbers', values
    )
    return ratings


def to_seconds(values: Any, cell: CellLocation) -> IntArray:
    r"""Converts a column to seconds since 1970. Numbers are rounded down; dates are in
    UTC where they name no time zone."""
    values = _decode(values)
    cell.fail_where(pc.is_null(values, nan_is_null=True), 'lacks a timestamp')
    casts: Sequence[Cast] = (_integer, _floor, _date, _zoned_date)
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        casts = (_timestamp,)
    return _convert(values, casts, cell, 'must hold numbers or ISO 8601 dates')


def to_texts(values: Any) -> Any:
    r"""Converts a column to an Arrow array of :obj:`large_string`. Missing values, NaN
    and blank texts are null."""
    values = _decode(values)
    if not pa.types.is_large_string(values.type):
        texts = [_to_str(value) for value in values.to_pylist()]
        values = pa.array(texts, pa.large_string())
    values = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.equal(values, ''), None, values)


def _decode(values: Any) -> Any:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if (
        pa.types.is_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    ):
        values = values.cast(pa.large_string())
    return values


def _to_str(value: object) -> Any:
    if value is None or value != value:
        return None
    if isinstance(value, list):
        return ', '.join(str(part) for part in value if part is not None)
    return str(value)


def _convert(
    values: Any, casts: Sequence[Cast], cell: CellLocation, reason: str
) -> npt.NDArray[Any]:
    r"""Converts each value by the first cast that accepts it. Where no cast accepts all
    values, halves are tried, so that the error names the first wrong value."""
    for cast in casts:
        try:
            return cast(values)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
    if len(values) == 1:
        cell.fail(reason, value=values[0])
    half = len(values) // 2
    rest = cell._replace(row=cell.row + half)
    return np.concatenate(
        [
            _convert(values[:half], casts, cell, reason),
            _convert(values[half:], casts, rest, reason),
        ]
    )


def _double(values: Any) -> FloatArray:
    out: FloatArray = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return out


def _trimmed_double(values: Any) -> FloatArray:
    return _double(pc.utf8_trim_whitespace(values))


def _integer(values: Any) -> IntArray:
    out: IntArray = values.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return out


def _floor(values: Any) -> IntArray:
    return _integer(pc.floor(values.cast(pa.float64())))


def _timestamp(values: Any) -> IntArray:
    zone = getattr(values.type, 'tz', None)
    fine = values.cast(pa.timestamp('us', zone), safe=False)
    return _integer(fine) // 1_000_000


def _date(values: Any) -> IntArray:
    return _timestamp(values.cast(pa.timestamp('us')))


def _zoned_date(values: Any) -> IntArray:
    return _timestamp(values.cast(pa.timestamp('us', 'UTC')))
