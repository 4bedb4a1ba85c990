"""The units of times that are written as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from torch import Tensor

UNITS = {'s': 1, 'ms': 10**3, 'us': 10**6, 'ns': 10**9}
"""How many of each are a second."""

UNIT_NAMES = {
    's': 'seconds',
    'ms': 'milliseconds',
    'us': 'microseconds',
    'ns': 'nanoseconds',
}

# In seconds: the years 1973 and 2286. A time between them is of one unit only.
_LEAST, _MOST = 10**8, 10**10
_NAT = -(2**63)  # What numpy and pandas write where a time is missing.
# The widths of dates that are written as one number, from the month on.
_WRITTEN_DATES = {
    'YYYYMM': (12,),
    'YYYYMMDD': (12, 31),
    'YYYYMMDDHH': (12, 31, 23),
    'YYYYMMDDHHMM': (12, 31, 23, 59),
    'YYYYMMDDHHMMSS': (12, 31, 23, 59, 59),
}


class WrittenDates(NamedTuple):
    r"""Dates that are written as one number each, such as 20240102."""

    form: str
    """Such as :obj:`"YYYYMMDD"`."""
    number: int
    """How many there are."""
    example: int
    """The first of them."""


def find_unit(largest: float) -> Optional[str]:
    r"""The unit in which the largest time of a column is of 1973 to 2286, seconds where
    it is smaller (steps that only count up are read as seconds), or :obj:`None` where
    it fits none."""
    for unit in UNITS:
        low, high = unit_range(unit)
        if (unit == 's' or low <= largest) and largest < high:
            return unit
    return None


def unit_range(unit: str) -> tuple[int, int]:
    r"""The numbers that are times of 1973 to 2286 in this unit, and in no other."""
    return _LEAST * UNITS[unit], _MOST * UNITS[unit]


def find_written_dates(parts: Sequence[Any]) -> Optional[WrittenDates]:
    r"""The form of dates that most of the numbers are, zeros left out, if any: as
    seconds, they would be of 1970.

    Args:
        parts (sequence): Arrays or tensors of numbers.
    """
    low = min(part.min() for part in parts)
    high = max(part.max() for part in parts)
    for form, widths in _WRITTEN_DATES.items():
        year = 100 ** len(widths)
        if high < 1900 * year or low >= 2101 * year:
            continue
        dates = [_written_dates(part, widths) for part in parts]
        count = sum(map(len, dates))
        if 2 * count > sum(int((part != 0).sum()) for part in parts):
            example = next(int(part[0]) for part in dates if len(part))
            return WrittenDates(form, count, example)
    return None


def _written_dates(values: Any, widths: tuple[int, ...]) -> Any:
    r"""Those numbers that are dates. A month or day may be 0 where it is unknown."""
    year = 100 ** len(widths)
    values = values[(values >= 1900 * year) & (values < 2101 * year)]
    rest = values
    fits = values == values
    for width in reversed(widths):
        fits &= rest % 100 < width + 1
        rest = rest // 100
    return values[fits]


def check_one_unit(time: Tensor) -> None:
    r"""Raises a :class:`ValueError` for times of several units, or times that are
    missing, which are in no order: a split by them would leak."""
    if time.numel() == 0:
        return
    if int(time.min()) == _NAT:
        raise ValueError("'time' must hold times, got one that is missing (NaT)")
    dates = find_written_dates([time])
    if dates is not None and dates.number < time.numel():
        raise ValueError(
            f"'time' must be in one unit, got {dates.number} dates that are written as "
            f'numbers ({dates.form}, such as {dates.example}) among {time.numel()} '
            'times'
        )
    size = time.abs()
    largest = int(size.max())
    unit = find_unit(largest)
    for other in UNITS:
        if unit is None or other == unit:
            return  # Of the units below it, none was found.
        low, high = unit_range(other)
        smaller = time[(size >= low) & (size < high)]
        if smaller.numel() > 0:
            raise ValueError(
                f"'time' must be in one unit, got {largest}, which is in "
                f'{UNIT_NAMES[unit]}, and {int(smaller[0])}, in {UNIT_NAMES[other]}'
            )
