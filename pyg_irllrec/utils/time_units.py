r"""The units of times that are stored as numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

from torch import Tensor

UNITS = {'s': 1, 'ms': 10**3, 'us': 10**6, 'ns': 10**9}
"""The number of units per second."""

UNIT_NAMES = {
    's': 'seconds',
    'ms': 'milliseconds',
    'us': 'microseconds',
    'ns': 'nanoseconds',
}

# The years 1973 and 2286 in seconds. The unit of a time between them is unambiguous.
_LEAST, _MOST = 10**8, 10**10
_NAT = -(2**63)  # The value of a missing time in NumPy and pandas.
# The parts of dates that are written as one number: their width, minimum and maximum.
# An unknown month or day may be 0.
_PARTS = {
    'YYYY': (10**4, 1900, 2100),
    'MM': (100, 0, 12),
    'DD': (100, 0, 31),
    'hh': (100, 0, 23),
    'mm': (100, 0, 59),
    'ss': (100, 0, 59),
}
_PROBE = 1 << 10
# Numbers with the year first sort by time, the others do not.
_WRITTEN_DATES = (
    'YYYY MM',
    'YYYY MM DD',
    'YYYY MM DD hh',
    'YYYY MM DD hh mm',
    'YYYY MM DD hh mm ss',
    'MM YYYY',
    'DD MM YYYY',
    'MM DD YYYY',
    'DD MM YYYY hh mm',
    'MM DD YYYY hh mm',
    'DD MM YYYY hh mm ss',
    'MM DD YYYY hh mm ss',
)


class WrittenDates(NamedTuple):
    r"""Dates that are written as one number each, such as 20240102."""

    form: str
    """The format, such as :obj:`"YYYYMMDD"`."""
    number: int
    """The number of dates."""
    example: int
    """The first date."""


def find_unit(largest: float) -> Optional[str]:
    r"""The unit in which the largest time of a column is between the years 1973 and
    2286. Smaller times, such as step counts, are read as seconds. :obj:`None` if no
    unit fits."""
    for unit in UNITS:
        low, high = unit_range(unit)
        if (unit == 's' or low <= largest) and largest < high:
            return unit
    return None


def unit_range(unit: str) -> tuple[int, int]:
    r"""The range of numbers that are times from 1973 to 2286 in this unit only."""
    return _LEAST * UNITS[unit], _MOST * UNITS[unit]


def find_written_dates(parts: Iterable[Any]) -> Optional[WrittenDates]:
    r"""Find dates that are written as numbers, if most numbers other than zero are such
    dates in one format. Read as seconds, they would all be in 1970.

    Args:
        parts (iterable): Arrays or tensors of numbers. It is iterated over repeatedly.
    """
    low = min(part.min() for part in parts)
    high = max(part.max() for part in parts)
    for form in _WRITTEN_DATES:
        first, *rest = (_PARTS[name] for name in form.split())
        scale = math.prod(width for width, _, _ in rest)
        # The first part is at least 1, or the date has a shorter format.
        least, end = max(first[1], 1) * scale, (first[2] + 1) * scale
        if high < least or low >= end:
            continue
        dates = []
        for part in parts:
            inside = part[(part >= least) & (part < end)]
            # If most numbers are dates, so are some of a sample. This is much faster
            # for columns of other times.
            probe = inside[:: len(inside) // _PROBE + 1]
            has_dates = len(_written_dates(probe, rest)) > 0
            dates.append(_written_dates(inside if has_dates else probe, rest))
        count = sum(map(len, dates))
        if 2 * count > sum(int((part != 0).sum()) for part in parts):
            example = next(int(part[0]) for part in dates if len(part))
            return WrittenDates(form.replace(' ', '').upper(), count, example)
    return None


def _written_dates(values: Any, parts: Sequence[tuple[int, int, int]]) -> Any:
    r"""The numbers that are valid dates in all parts but the first, which the caller
    has checked."""
    scale = math.prod(width for width, _, _ in parts)
    for width, least, most in parts:
        above = values // scale
        scale //= width
        part = values // scale - above * width  # Faster than the operator %.
        values = values[(part >= least) & (part < most + 1)]
    return values


def check_one_unit(time: Tensor) -> None:
    r"""Raise a :class:`ValueError` if times have several units or are missing. They
    would not sort, so that a split by time would leak."""
    if time.numel() == 0:
        return
    if int(time.min()) == _NAT:
        raise ValueError("'time' must hold no missing times, got NaT")
    dates = find_written_dates([time])
    if dates is not None and not dates.form.startswith('Y'):
        raise ValueError(
            f"'time' must hold numbers that sort by time, got {dates.number} dates "
            f'that are written as numbers with the year last ({dates.form}, such as '
            f'{dates.example}): convert them to seconds since 1970'
        )
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
            return  # All smaller units have been checked.
        low, high = unit_range(other)
        smaller = time[(size >= low) & (size < high)]
        if smaller.numel() > 0:
            raise ValueError(
                f"'time' must be in one unit, got {largest}, which is in "
                f'{UNIT_NAMES[unit]}, and {int(smaller[0])}, in {UNIT_NAMES[other]}'
            )
