from __future__ import annotations

import numpy as np
import pytest
import torch

from pyg_irllrec.utils.time_units import (
    UNITS,
    check_one_unit,
    find_unit,
    find_written_dates,
    unit_range,
)


@pytest.mark.parametrize('unit', UNITS)
def test_no_number_has_two_units(unit):
    low, high = unit_range(unit)
    assert find_unit(low) == find_unit(high - 1024 * UNITS[unit]) == unit
    assert find_unit(high) is None
    assert find_unit(low - 1) == ('s' if unit == 's' else None)
    assert low == 10**8 * UNITS[unit]


def test_small_numbers_are_seconds():
    assert find_unit(0) == find_unit(1) == find_unit(10**8 - 1) == 's'


@pytest.mark.parametrize('kind', [np.array, torch.tensor])
@pytest.mark.parametrize(
    ('values', 'form'),
    [
        ([20240102], 'YYYYMMDD'),
        ([20240102, 0, 0], 'YYYYMMDD'),  # Zeros are missing times.
        ([20240100, 20240000], 'YYYYMMDD'),  # Days and months may be unknown.
        ([20240102.0, 20231230.0], 'YYYYMMDD'),
        ([20240102, 20231231, 1], 'YYYYMMDD'),
        ([202401, 202312, 10**15], 'YYYYMM'),
        ([2024010223], 'YYYYMMDDHH'),
        ([202401022359], 'YYYYMMDDHHMM'),
        ([20240102235959], 'YYYYMMDDHHMMSS'),
        ([2012024, 31122023], 'DDMMYYYY'),  # The first zero is lost.
        ([1132024, 12312023], 'MMDDYYYY'),
        ([2012024.0, 31122023.0], 'DDMMYYYY'),
        ([12024, 122023], 'MMYYYY'),
        ([20120242359, 311220230000], 'DDMMYYYYHHMM'),
        ([11320242359, 123120230000], 'MMDDYYYYHHMM'),
        ([2012024235959, 31122023000000], 'DDMMYYYYHHMMSS'),
        ([1132024235959, 12312023000000], 'MMDDYYYYHHMMSS'),
        ([32012024], None),
        ([13132024], None),
        ([2012101, 31121899], None),
        ([1995, 2024], None),  # No month.
        ([20240102, 1], None),
        ([20241302], None),
        ([20240132], None),
        ([2024010224], None),
        ([18991231, 21010101], None),
        ([0], None),
        ([1_577_934_245, 1_577_934_246], None),
    ],
)
def test_most_of_the_numbers_are_written_dates(kind, values, form):
    found = find_written_dates([kind(values)])
    assert (found and found.form) == form
    # The same in several parts.
    assert find_written_dates([kind([each]) for each in values]) == found


def test_many_written_dates_are_counted_exactly():
    dates = np.tile([2012024, 31122023, 0, 7], 5000)
    assert find_written_dates([dates]) == ('DDMMYYYY', 10_000, 2012024)


@pytest.mark.parametrize(
    ('time', 'message'),
    [
        ([1_577_934_245_000, 1_577_934_246], 'got 1577934245000, .*milliseconds.*1577'),
        ([20240102, 20240103, 5], r'got 2 dates .*\(YYYYMMDD, such as 20240102\)'),
        ([2012024, 31122023], r'got 2 dates .*last \(DDMMYYYY, such as 2012024\)'),
        ([1132024, 12312023, 0], r'got 2 dates .*last \(MMDDYYYY, such as 1132024\)'),
        ([-(2**63), 5], "'time' must hold no missing times, got NaT"),
    ],
)
def test_times_of_two_units_are_rejected(time, message):
    with pytest.raises(ValueError, match=message):
        check_one_unit(torch.tensor(time))


@pytest.mark.parametrize('time', [[], [20240102, 20240103], [0, 10**12], [-5, 3]])
def test_times_of_one_unit(time):
    check_one_unit(torch.tensor(time, dtype=torch.long))
