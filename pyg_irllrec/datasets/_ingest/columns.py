"""From what a column holds to ids, ratings, seconds and texts, or one clear error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.tables import Table

Numbers = npt.NDArray[np.float64]
Seconds = npt.NDArray[np.int64]
Cast = Callable[[Any], npt.NDArray[Any]]

_CANONICAL = '^(0|-?[1-9][0-9]{0,17})$'


class CellLocation(NamedTuple):
    r"""Where a batch of values stands in its table: what an error names."""

    table: Table
    column: str
    row: int

    def refuse(self, reason: str, row: int = 0, value: object = None) -> NoReturn:
        r"""Raises a :class:`ValueError` about one row of the batch."""
        got = '' if value is None else f', got {str(value)[:80]!r}'
        raise ValueError(
            f'{self.table.name}, {self.table.location(self.row + row)}: column '
            f'{self.column!r} {reason}{got}'
        )

    def refuse_first(self, wrong: Any, reason: str, values: Any = None) -> None:
        r"""Raises a :class:`ValueError` about the first row that is wrong."""
        row = pc.index(wrong, True).as_py()
        if row >= 0:
            self.refuse(reason, row, None if values is None else values[row])


def to_ids(values: Any, cell: CellLocation) -> Any:
    r"""Ids, as an Arrow array of :obj:`int64` or :obj:`large_string`."""
    values = _plain(values)
    cell.refuse_first(pc.is_null(values, nan_is_null=True), 'lacks an id')
    if pa.types.is_large_string(values.type):
        cell.refuse_first(pc.equal(values, ''), 'lacks an id')
        return values
    try:
        if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
            # Pandas' integers become floats where one was missing.
            return values.cast(pa.int64())
    except pa.ArrowInvalid:
        pass
    cell.refuse(f'must hold ids that are integers or strings, got {values.type}')


def integers_of(ids: Any) -> Any:
    r"""Strings as the integers that they spell, null where they spell none, or not
    as Python would write it."""
    spelled = pc.match_substring_regex(ids, _CANONICAL)
    return pc.if_else(spelled, ids, None).cast(pa.int64())


def to_ratings(values: Any, cell: CellLocation) -> npt.NDArray[np.float32]:
    r"""Finite numbers."""
    values = _plain(values)
    cell.refuse_first(pc.is_null(values), 'lacks a rating')
    numbers = _convert(values, (_double, _trimmed_double), cell, 'must hold numbers')
    cell.refuse_first(pa.array(np.isnan(numbers)), 'lacks a rating (NaN)')
    with np.errstate(over='ignore'):
        ratings = numbers.astype(np.float32)
    cell.refuse_first(
        pa.array(np.isinf(ratings)), 'must hold finite float32 numbers', values
    )
    return ratings


def to_seconds(values: Any, cell: CellLocation) -> Seconds:
    r"""Whole numbers as they are, others rounded down, and dates, which are read as
    UTC where they name no time zone, as seconds since 1970."""
    values = _plain(values)
    cell.refuse_first(pc.is_null(values, nan_is_null=True), 'lacks a timestamp')
    casts: Sequence[Cast] = (_integer, _whole, _date, _zoned_date)
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        casts = (_timestamp,)
    return _convert(values, casts, cell, 'must hold numbers or ISO 8601 dates')


def to_texts(values: Any) -> Any:
    r"""Texts, as an Arrow array of :obj:`large_string`, null where there is none:
    no value, NaN, or nothing but blanks."""
    values = _plain(values)
    if not pa.types.is_large_string(values.type):
        texts = [_to_str(value) for value in values.to_pylist()]
        values = pa.array(texts, pa.large_string())
    values = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.equal(values, ''), None, values)


def _plain(values: Any) -> Any:
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
    r"""Every value by the first cast that takes it. Halves are tried where no cast
    takes all, so that the first value that none takes is found, and named."""
    for cast in casts:
        try:
            return cast(values)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
    if len(values) == 1:
        cell.refuse(reason, value=values[0])
    half = len(values) // 2
    rest = cell._replace(row=cell.row + half)
    return np.concatenate(
        [
            _convert(values[:half], casts, cell, reason),
            _convert(values[half:], casts, rest, reason),
        ]
    )


def _double(values: Any) -> Numbers:
    out: Numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return out


def _trimmed_double(values: Any) -> Numbers:
    return _double(pc.utf8_trim_whitespace(values))


def _integer(values: Any) -> Seconds:
    out: Seconds = values.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return out


def _whole(values: Any) -> Seconds:
    return _integer(pc.floor(values.cast(pa.float64())))


def _timestamp(values: Any) -> Seconds:
    zone = getattr(values.type, 'tz', None)
    fine = values.cast(pa.timestamp('us', zone), safe=False)
    return _integer(fine) // 1_000_000


def _date(values: Any) -> Seconds:
    return _timestamp(values.cast(pa.timestamp('us')))


def _zoned_date(values: Any) -> Seconds:
    return _timestamp(values.cast(pa.timestamp('us', 'UTC')))
