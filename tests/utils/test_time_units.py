from __future__ import annotations

import pytest

from pyg_irllrec.utils.time_units import UNITS, find_unit, unit_range


@pytest.mark.parametrize('unit', UNITS)
def test_no_number_is_of_two_units(unit):
    low, high = unit_range(unit)
    assert find_unit(low) == find_unit(high - 1024 * UNITS[unit]) == unit
    assert find_unit(high) is None
    assert find_unit(low - 1) == ('s' if unit == 's' else None)
    assert low == 10**8 * UNITS[unit]


def test_what_is_small_is_in_seconds():
    assert find_unit(0) == find_unit(1) == find_unit(10**8 - 1) == 's'
