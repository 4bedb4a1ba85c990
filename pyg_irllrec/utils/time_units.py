"""The units of times that are written as numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
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
# The parts of dates that are written as one number: their width, least and most. A
# month or day may be 0 where it is unknown.
_PARTS = {
    'YYYY': (10**4, 1900, 2100),
    'MM': (100, 0, 12),
    'DD': (100, 0, 31),
    'hh': (100, 0, 23),
    'mm': (100, 0, 59),
    'ss': (100, 0, 59),
}
_PROBE = 1 << 10
# By size they are in the order of time where the year comes first, and in none where
# it does not.
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


def find_written_dates(parts: Iterable[Any]) -> Optional[WrittenDates]:
    r"""The form of dates that most of the numbers are, zeros left out, if any: as
    seconds, they would be of 1970.

    Args:
        parts (iterable): Arrays or tensors of numbers, which are read several times.
    """
    low = min(part.min() for part in parts)
    high = max(part.max() for part in parts)
    for form in _WRITTEN_DATES:
        first, *rest = (_PARTS[name] for name in form.split())
        scale = math.prod(width for width, _, _ in rest)
        # The first part is not 0, which a shorter form has.
        least, end = max(first[1], 1) * scale, (first[2] + 1) * scale
        if high < least or low >= end:
            continue
        dates = []
        for part in parts:
            inside = part[(part >= least) & (part < end)]
            # Where most are dates, some of a few are: times in milliseconds are spared.
            probe = inside[:: len(inside) // _PROBE + 1]
            has_dates = len(_written_dates(probe, rest)) > 0
            dates.append(_written_dates(inside if has_dates else probe, rest))
        count = sum(map(len, dates))
        if 2 * count > sum(int((part != 0).sum()) for part in parts):
            example = next(int(part[0]) for part in dates if len(part))
            return WrittenDates(form.replace(' ', '').upper(), count, example)
    return None


def _written_dates(values: Any, parts: Sequence[tuple[int, int, int]]) -> Any:
    r"""Those numbers that are dates, by all parts but the first. The foremost part is
    the first to go by: few times pass it."""
    scale = math.prod(width for width, _, _ in parts)
    for width, least, most in parts:
        above = values // scale
        scale //= width
        part = values // scale - above * width  # Faster than the remainder.
        values = values[(part >= least) & (part < most + 1)]
    return values


def check_one_unit(time: Tensor) -> None:
    r"""Raise a :class:`ValueError` for times of several units, or times that are
    missing, which are in no order: a split by them would leak."""
    if time.numel() == 0:
        return
    if int(time.min()) == _NAT:
        raise ValueError("'time' must hold times, got one that is missing (NaT)")
    dates = find_written_dates([time])
    if dates is not None and not dates.form.startswith('Y'):
        raise ValueError(
            f"'time' must be in the order of time, got {dates.number} dates that are "
            f'written as numbers with the year last ({dates.form}, such as '
            f'{dates.example}): write them in seconds since 1970'
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
            return  # Of the units below it, none was found.
        low, high = unit_range(other)
        smaller = time[(size >= low) & (size < high)]
        if smaller.numel() > 0:
            raise ValueError(
                f"'time' must be in one unit, got {largest}, which is in "
                f'{UNIT_NAMES[unit]}, and {int(smaller[0])}, in {UNIT_NAMES[other]}'
            )
