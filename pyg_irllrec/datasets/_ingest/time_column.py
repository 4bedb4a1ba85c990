from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.convert import (
    Cast,
    convert,
    is_text_or_number,
    to_double,
    to_trimmed_double,
    try_casts,
)
from pyg_irllrec.datasets._ingest.decode import decode
from pyg_irllrec.datasets._ingest.disk_arrays import DiskArrays
from pyg_irllrec.datasets._ingest.ids import EXACT_BELOW
from pyg_irllrec.typing import IntArray
from pyg_irllrec.utils.time_units import (
    UNIT_NAMES,
    UNITS,
    find_unit,
    find_written_dates,
    unit_range,
)

_NAT = np.iinfo(np.int64).min  # How NumPy and pandas store a missing time.
_YEAR_1, _YEAR_9999 = -62_135_596_800, 253_402_300_799
_REASON = 'must hold numbers or ISO 8601 dates'
_NUMBER = r'^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$'


class TimeColumn:
    r"""A column of times, added in batches, stored on disk, and converted to seconds
    since 1970, rounded down.

    Args:
        unit (str): The unit of numbers, one of :obj:`UNITS`, or :obj:`"auto"`: the unit
            in which all of them are in the years 1973 to 2286, else seconds.
        folder (Path, optional): The folder of temporary files. (default: :obj:`None`)
    """

    def __init__(self, unit: str, folder: Optional[Path] = None) -> None:
        self._given = unit
        self._values = DiskArrays(folder)
        self._cells: list[CellLocation] = []
        self._kind: Optional[str] = None
        self._unit: Optional[str] = None

    def add(self, values: Any, cell: CellLocation) -> None:
        r"""Add the times of the next rows, which are at :obj:`cell`."""
        values = decode(values, cell)
        if values.null_count > 0 or pa.types.is_floating(values.type):
            cell.fail_where(pc.is_null(values, nan_is_null=True), 'lacks a timestamp')
        kind = 'dates'
        if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
            part = _seconds(values)
        elif not is_text_or_number(values.type):
            cell.fail(f'{_REASON}, got {values.type}')
        else:
            part, kind = _read(values, cell)
            _check_digits(part, values, cell)
        if self._kind not in (None, kind):
            cell.fail(f'mixes numbers and dates, got {kind} after {self._kind}')
        self._kind = kind
        self._values.append(part)
        self._cells.append(cell)

    def finish(self) -> Optional[str]:
        r"""Return the unit of numbers, once all times are added."""
        if self._kind == 'numbers':
            self._unit = self._infer() if self._given == 'auto' else self._given
        return self._unit

    def seconds(self, batch: int) -> IntArray:
        r"""The seconds of the rows of a batch; call :meth:`finish` before."""
        unit, values = self._unit, self._values[batch]
        scaled = values if unit in (None, 's') else values // UNITS[unit]
        if scaled.min() < _YEAR_1 or scaled.max() > _YEAR_9999:
            what = 'seconds' if unit is None else UNIT_NAMES[unit]
            self._cells[batch].fail_where(
                pa.array((scaled < _YEAR_1) | (scaled > _YEAR_9999)),
                f'must hold times of the years 1 to 9999 in {what}',
                values,
            )
        seconds: IntArray = np.floor(scaled).astype(np.int64, copy=False)
        return seconds

    def _parts(self) -> Iterator[tuple[npt.NDArray[Any], CellLocation]]:
        return zip(self._values, self._cells)

    def _infer(self) -> str:
        largest = [float(np.abs(values).max()) for values in self._values]
        most = max(largest)
        self._check_written_dates()
        unit = find_unit(most)
        if unit is None:
            batch = largest.index(most)
            values = self._values[batch]
            row = int(np.abs(values).argmax())
            self._cells[batch].fail(
                "holds a time that fits no unit: pass 'time_unit'", row, values[row]
            )
        if most < unit_range('s')[0]:
            self._check_fractions()
        if unit != 's':
            for values, cell in self._parts():
                size = np.abs(values)
                cell.fail_where(
                    pa.array((size > 0) & (size < unit_range(unit)[0])),
                    f'mixes units: its largest time, {most:.0f}, is in '
                    f'{UNIT_NAMES[unit]}, but another is not (pass '
                    "'time_unit' if it is)",
                    values,
                )
        return unit

    def _check_written_dates(self) -> None:
        found = find_written_dates(self._values)
        if found is None:
            return
        for values, cell in self._parts():
            cell.fail_where(
                pa.array(values == found.example),
                f'holds dates written as numbers ({found.form}), which have no unit: '
                "write '2024-01-02', or pass 'time_unit' if they are times",
                values,
            )

    def _check_fractions(self) -> None:
        r"""Raise a :class:`ValueError` for fractions: these times are not seconds since
        1970, but days or seconds of another origin, whose order needs the fractions."""
        for values, cell in self._parts():
            if values.dtype.kind == 'f':
                cell.fail_where(
                    pa.array(values != np.floor(values)),
                    'holds numbers with fractions that are not seconds since 1970, and '
                    'fractions of a second are dropped: multiply them, or write dates '
                    "(or pass 'time_unit' to drop the fractions)",
                    values,
                )


def _read(values: Any, cell: CellLocation) -> tuple[npt.NDArray[Any], str]:
    r"""Return numbers as they are, or dates in seconds, and which of the two it is."""
    numbers = try_casts(values, (_integer, to_double, to_trimmed_double))
    if numbers is not None:
        if numbers.dtype.kind == 'f':
            cell.fail_where(pa.array(~np.isfinite(numbers)), _REASON, values)
        return numbers, 'numbers'
    if not pa.types.is_large_string(values.type):
        return convert(values, (to_double,), cell, _REASON), 'numbers'
    values = pc.utf8_trim_whitespace(values)
    is_number = pc.match_substring_regex(values, _NUMBER)
    dates = values.filter(pc.invert(is_number))
    if len(dates) == len(values):
        return convert(values, _DATES, cell, _REASON), 'dates'
    row = pc.index(is_number, False).as_py()
    convert(values[row : row + 1], _DATES, cell._replace(row=cell.row + row), _REASON)
    cell.fail('mixes numbers and dates', row, values[row])


def _check_digits(part: npt.NDArray[Any], values: Any, cell: CellLocation) -> None:
    r"""Raise a :class:`ValueError` for a missing time that became an integer, and for
    floats that cannot represent seconds."""
    if part.dtype == np.int64 and part.min() == _NAT:
        cell.fail_where(pa.array(part == _NAT), 'lacks a timestamp', values)
    if pa.types.is_float16(values.type) or pa.types.is_float32(values.type):
        wide = pa.array(np.abs(part) >= EXACT_BELOW[str(values.type)])
        cell.fail_where(wide, f'must hold float64 or integers, got {values.type}')


def _integer(values: Any) -> IntArray:
    out: IntArray = values.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return out


def _seconds(values: Any) -> IntArray:
    r"""Convert timestamps and dates to seconds. Integers are divided, because Arrow's
    own cast between units overflows."""
    if pa.types.is_date32(values.type):
        return _integer(values.cast(pa.int32())) * 86_400
    unit = getattr(values.type, 'unit', 'ms')  # date64
    return _integer(values) // UNITS[unit]


def _parse_dates(unit: str, zone: Optional[str]) -> Cast:
    return lambda values: _seconds(values.cast(pa.timestamp(unit, zone)))


# Microseconds come first: nanoseconds cover only the years 1677 to 2262.
_DATES = tuple(
    _parse_dates(unit, zone) for unit in ('us', 'ns') for zone in (None, 'UTC')
)
