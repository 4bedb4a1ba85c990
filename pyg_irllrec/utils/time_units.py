"""The units of times that are written as numbers."""

from __future__ import annotations

from typing import Optional

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
