"""Ids, times and repeated rows mean the same in every format: docs/data.md."""

from __future__ import annotations

import math
import os
import re
import warnings
from datetime import datetime, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.datasets.doors import DOORS, content, read_by

ID = st.one_of(
    st.text('aé0１-_=/. \u00a0', min_size=1, max_size=3),
    st.sampled_from(['7', '07', '+7', ' 7', '7 ', '7.0', 'x', 'é', 'e\u0301', '1e3']),
)
IDS = st.one_of(
    st.lists(ID, min_size=6, max_size=6),
    st.lists(st.integers(-9, 9), min_size=6, max_size=6),
    st.lists(st.integers(-9, 9).map(float), min_size=6, max_size=6),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=6, max_size=6),
    st.lists(st.integers(2**63, 2**64 - 1), min_size=6, max_size=6),
)
DATE = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))
TIMES = st.one_of(
    st.lists(st.integers(0, 30), min_size=6, max_size=6),
    st.lists(st.integers(10**9, 2 * 10**9), min_size=6, max_size=6),
    st.lists(st.integers(10**12, 2 * 10**12), min_size=6, max_size=6),
    st.lists(st.floats(10**9, 2 * 10**9), min_size=6, max_size=6),
    st.lists(DATE, min_size=6, max_size=6),
    st.lists(
        DATE.map(lambda date: date.replace(tzinfo=timezone.utc)),
        min_size=6,
        max_size=6,
    ),
)
TEXT = st.one_of(st.none(), st.text('ab ,"\n', max_size=4))


@pytest.fixture(autouse=True, scope='module')
def no_flush():
    """Skip fsync: hundreds of small datasets need not survive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, 'fsync', lambda descriptor: None)
        yield


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    who=IDS,
    what=IDS,
    stars=st.lists(st.integers(-4, 10).map(lambda n: n / 2), min_size=6, max_size=6),
    when=TIMES,
    title=st.lists(TEXT, min_size=2, max_size=2),
    duplicates=st.sampled_from(['last', 'first', 'sum']),
)
def test_the_same_table_gives_the_same_dataset(
    tmp_path_factory, who, what, stars, when, title, duplicates
):
    folder = tmp_path_factory.mktemp('doors')
    table = {'who': who, 'what': what, 'stars': stars, 'when': when}
    items = {'what': what[:2], 'title': title}
    found = {}
    for door in DOORS:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try:
                dataset = read_by(
                    door,
                    folder,
                    table,
                    items,
                    rating='stars',
                    timestamp='when',
                    item_text='title',
                    duplicates=duplicates,
                )
                found[door] = content(dataset)
            except ValueError as error:
                found[door] = re.split(r': column| must ', str(error))[-1]
    assert [door for door in DOORS if found[door] != found['csv']] == [], found


MISSING = ['', ' ', '\u00a0', '\u200b', 'NULL', 'null', r'\N', 'NaN', 'nan', 'None']
MISSING += ['NA', 'N/A', 'n/a', '<NA>', '#N/A', 'NaT', 'none', ' NULL ', None]


@pytest.mark.parametrize('door', DOORS)
def test_missing_ids_are_named_with_their_row(tmp_path, door):
    for number, missing in enumerate(MISSING):
        for column in ('who', 'what'):
            table = {'who': ['u', 'v', 'w'], 'what': ['a', 'b', 'c']}
            table[column][1] = missing
            line = {'csv': 'line 3', 'json_lines': 'line 2'}.get(door, 'row 1')
            with pytest.raises(ValueError, match=rf"{line}: column '{column}' lacks"):
                read_by(door, tmp_path / f'{number}{column}', table)


@pytest.mark.parametrize('door', DOORS)
def test_distinct_ids_stay_distinct_and_equal_ids_equal(tmp_path, door):
    who = ['7', ' 7', '7\u00a0', '7\t', '\ufeff7', '07', '+7', '-7', '７', '7e0', '7_0']
    dataset = read_by(door, tmp_path / '1', {'who': who, 'what': list(range(11))})
    assert dataset.user_ids == sorted(['7', '07', '+7', '-7', '７', '7e0', '7_0'])
    assert dataset.item_ids.tolist() == list(range(11))
    for spelled in (7, '7', '7 ', 7.0):
        assert dataset.nodes_of('user', [spelled]).tolist() == [
            dataset.user_ids.index('7')
        ]
    who = ['e\u0301', 'é', 'É', 'e']
    dataset = read_by(door, tmp_path / '2', {'who': who, 'what': [1, 2, 3, 4]})
    assert dataset.user_ids == ['e', 'É', 'é']
    assert dataset.nodes_of('user', ['e\u0301 ']).tolist() == [2]


@pytest.mark.parametrize('door', DOORS)
def test_an_id_with_blanks_finds_its_text(tmp_path, door):
    table = {'who': ['1', '2 '], 'what': ['10', '11 ']}
    items = {'what': [' 10', '11'], 'title': ['Red', 'Blue']}
    dataset = read_by(door, tmp_path, table, items, item_text='title')
    assert list(dataset[0]['item'].text) == ['Red', 'Blue']
    assert dataset.user_ids.tolist() == [1, 2]


@pytest.mark.parametrize('door', DOORS)
def test_a_float_id_finds_its_text(tmp_path, door):
    items = {'what': [7.0, 8.0], 'title': ['seven', 'eight']}
    for what, texts in (([7, 8], ['seven', 'eight']), (['7', 'x'], ['seven', ''])):
        table = {'who': [1, 2], 'what': what}
        dataset = read_by(door, tmp_path / str(what), table, items, item_text='title')
        assert list(dataset[0]['item'].text) == texts


@pytest.mark.parametrize('door', DOORS)
def test_an_integer_that_became_a_float_is_one_id(tmp_path, door):
    # Also beside strings, and to the last digit that a float holds.
    for number, whole in enumerate(('7', '0', '-3', str(2**53 - 1))):
        table = {'who': [whole, f'{whole}.0', f'{whole}.00', 'x'], 'what': [1, 2, 3, 4]}
        items = {'what': ['1.0', '2'], 'title': ['one', 'two']}
        folder = tmp_path / str(number)
        dataset = read_by(door, folder, table, items, item_text='title')
        assert dataset.user_ids == [whole, 'x']
        assert dataset.nodes_of('user', [f'{whole}.0']).tolist() == [0]
        assert list(dataset[0]['item'].text) == ['one', 'two', '', '']
    table = {'who': ['1.10', '1.1', '1.', '01.0', '7'], 'what': [1, 2, 3, 4, 5]}
    dataset = read_by(door, tmp_path / 'versions', table)
    assert dataset.user_ids == ['01.0', '1.', '1.1', '1.10', '7']


@pytest.mark.parametrize('door', DOORS)
@pytest.mark.parametrize('broken', ['10\n2,11\n3,12', 'a\rb', 'a\r\nb'])
def test_an_id_with_a_line_break_is_refused(tmp_path, door, broken):
    line = {'csv': 'line 3', 'json_lines': 'line 2'}.get(door, 'row 1')
    with pytest.raises(ValueError, match=rf"{line}: column 'what' .*with a line break"):
        read_by(door, tmp_path / '1', {'who': ['u', 'v'], 'what': ['a', broken]})
    dataset = read_by(door, tmp_path / '2', {'who': ['u\n', 'v'], 'what': ['a', 'b']})
    assert dataset.user_ids == ['u', 'v']


@pytest.mark.parametrize('door', DOORS)
@pytest.mark.parametrize(
    ('who', 'ids'),
    [
        ([1.0, 2.0, 10.0], [1, 2, 10]),
        (['1.0', '2.0', '10.0'], [1, 2, 10]),
        (['1', '2.0', '10.00'], [1, 2, 10]),
        ([-0.0, 2.0, 10.0], [0, 2, 10]),
        ([2**53 - 1.0, 2.0, 3.0], [2, 3, 2**53 - 1]),
        ([2**63 - 1, -(2**63), 0], [-(2**63), 0, 2**63 - 1]),
        ([2**64 - 1, 2**63, 2**63 + 1], [f'{2**64 - 1}', f'{2**63}', f'{2**63 + 1}']),
        (['1.5', '1.50', '2'], ['1.5', '1.50', '2']),
        (['2020-01-02', '2020-01-03', '1'], ['1', '2020-01-02', '2020-01-03']),
        (['True', 'x', '1'], ['1', 'True', 'x']),
    ],
)  # fmt: skip
def test_integers_in_any_spelling(tmp_path, door, who, ids):
    dataset = read_by(door, tmp_path, {'who': who, 'what': [0, 1, 2]})
    assert list(dataset.user_ids) == ids
    found = dataset.ids_of('user', dataset.nodes_of('user', who))
    assert len(set(map(str, list(found)))) == 3


@pytest.mark.parametrize('door', DOORS)
@pytest.mark.parametrize(
    'lossy',
    [
        [1.0, 2.0**53],
        [1.0, 2.0**53 + 2],
        [1.0, 1e22],
        ['1', '9.78014E+12'],
        ['x', '1.2345678901234568e+17'],
        ['1', '9007199254740993.0'],
    ],
)
def test_floats_that_lost_digits_are_refused(tmp_path, door, lossy):
    line = {'csv': 'line 3', 'json_lines': 'line 2'}.get(door, 'row 1')
    with pytest.raises(ValueError, match=rf"{line}: column 'who' .*lost digits"):
        read_by(door, tmp_path, {'who': lossy, 'what': [0, 1]})


# --- Times ---

SAME = [1577934245, 1577934246]  # 2020-01-02 03:04:05


@pytest.mark.parametrize('door', DOORS)
@pytest.mark.parametrize(
    ('unit', 'when'),
    [
        ('s', SAME),
        ('s', [SAME[0] + 0.25, SAME[1] + 0.5]),
        ('ms', [SAME[0] * 10**3 + 7, SAME[1] * 10**3]),
        ('ms', [SAME[0] * 1e3 + 0.5, SAME[1] * 1e3]),
        ('us', [SAME[0] * 10**6 + 7, SAME[1] * 10**6]),
        ('ns', [SAME[0] * 10**9 + 7, SAME[1] * 10**9]),
        (None, ['2020-01-02T03:04:05.999', '2020-01-02 03:04:06']),
        (None, ['2020-01-02T03:04:05.123456789', '2020-01-02T04:04:06+01:00']),
        (None, [datetime(2020, 1, 2, 3, 4, 5, 6), datetime(2020, 1, 2, 3, 4, 6)]),
    ],
)
@pytest.mark.filterwarnings('ignore:the times in column')
def test_the_unit_of_times_is_inferred(tmp_path, door, unit, when):
    table = {'who': ['u', 'v'], 'what': [1, 2], 'when': when}
    dataset = read_by(door, tmp_path / 'found', table, timestamp='when')
    assert content(dataset)['time'] == SAME
    assert dataset.time_unit == unit
    if unit is not None:
        given = read_by(
            door, tmp_path / 'given', table, timestamp='when', time_unit=unit
        )
        assert content(given)['time'] == SAME


def test_an_inferred_unit_is_reported(tmp_path):
    table = {'who': ['u'], 'what': [1], 'when': [SAME[0] * 1000]}
    with pytest.warns(UserWarning, match="column 'when' are read as milliseconds"):
        read_by('pandas', tmp_path / '1', table, timestamp='when')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        read_by('pandas', tmp_path / '2', table, timestamp='when', time_unit='ms')


@pytest.mark.parametrize('door', DOORS)
@pytest.mark.parametrize(
    ('when', 'options', 'message'),
    [
        ([1577934245, 1577934245000], {}, "'when' mixes units: .*1577934245000.*ms|"
         'milliseconds'),
        ([1577934245000, 1577934245], {}, 'mixes units'),
        ([1577934245000000, 1577934245000], {}, 'mixes units'),
        ([1577934245.5, 1577934245000.0], {}, 'mixes units'),
        ([-1, 1577934245000], {}, 'mixes units'),
        ([20240102, 20231231], {}, r'dates written as numbers \(YYYYMMDD\)'),
        ([202401, 202312], {}, r'dates written as numbers \(YYYYMM\)'),
        ([2024010223, 2023123100], {}, r'dates .*\(YYYYMMDDHH\)'),
        ([202401022359, 202312310000], {}, r'dates .*\(YYYYMMDDHHMM\)'),
        ([20240102235959, 20231231000000], {}, r'dates .*\(YYYYMMDDHHMMSS\)'),
        ([20240102, 0], {}, r'dates written as numbers \(YYYYMMDD\)'),
        ([20240100, 20240200], {}, r'dates written as numbers \(YYYYMMDD\)'),
        ([20240102.0, 0.0], {}, r'dates written as numbers \(YYYYMMDD\)'),
        ([0, 202412], {}, r'dates written as numbers \(YYYYMM\)'),
        ([2012024, 31122023], {}, r'dates written as numbers \(DDMMYYYY\)'),
        ([12312023, 1132024], {}, r'dates written as numbers \(MMDDYYYY\)'),
        ([0.1, 0.9], {}, r"fractions .* multiply them, or write dates .*got '?0\.1"),
        ([45293, 45293.5], {}, r"fractions of a second are dropped.*got '?45293\.5"),
        ([1, 5 * 10**13], {}, 'fits no unit: pass .time_unit., got .50000000000000'),
        ([1, 5 * 10**10], {}, 'fits no unit'),
        ([1577934245000, 1577934245001], {'time_unit': 's'}, 'years 1 to 9999 in sec'),
        ([10**18, 10**18], {'time_unit': 'ms'}, 'years 1 to 9999 in millisec'),
        (['2020-01-02', '1577934245'], {}, 'mixes numbers and dates'),
        (['2020-01-02', 'soon'], {}, "must hold numbers or ISO 8601 dates, got 'soon'"),
        (['2020-01-02', '01/02/2020'], {}, 'must hold numbers or ISO 8601 dates'),
        ([1, None], {}, 'lacks a timestamp'),
        ([1.5, float('inf')], {}, 'must hold numbers or ISO 8601 dates'),
    ],
)  # fmt: skip
def test_ambiguous_times_are_refused(tmp_path, door, when, options, message):
    table = {'who': ['u', 'v'], 'what': [1, 2], 'when': when}
    with pytest.raises(ValueError, match=message):
        read_by(door, tmp_path, table, timestamp='when', **options)


@pytest.mark.parametrize('odd', [0, 1, 20249999, 1577934245, -1, 10**12])
def test_written_dates_among_other_times_are_refused(tmp_path, odd):
    table = {'who': [1, 2, 3], 'what': [1, 2, 3], 'when': [odd, 20240102, 20231231]}
    with pytest.raises(ValueError, match=r"row 1: column 'when' holds dates written"):
        read_by('pandas', tmp_path, table, timestamp='when')


@pytest.mark.parametrize('door', DOORS)
def test_unusual_but_valid_times(tmp_path, door):
    for number, (when, unit) in enumerate(
        [
            ([0, -86400], 's'),
            ([20240102, 20249999], 's'),  # Not dates.
            ([0, 1577934245], 's'),
            ([20240102, 20240103], 's'),
            ([45293.0, 1.0], 'auto'),
            ([1577934245.5, 0.5], 'auto'),
        ]
    ):
        table = {'who': ['u', 'v'], 'what': [1, 2], 'when': when}
        dataset = read_by(
            door,
            tmp_path / str(number),
            table,
            timestamp='when',
            time_unit=unit if number == 3 else 'auto',
        )
        assert content(dataset)['time'] == [math.floor(each) for each in when]


# --- Repeated rows ---


@pytest.mark.parametrize('door', DOORS)
@pytest.mark.parametrize(
    ('duplicates', 'with_time', 'without'),
    [
        ('last', ([4], [30]), [4]),
        ('first', ([2], [20]), [1]),
        ('sum', ([7], [30]), [7]),
    ],
)
@pytest.mark.filterwarnings('ignore:.*repeat a pair')
def test_which_repeated_row_counts(tmp_path, door, duplicates, with_time, without):
    # Ids that are equal only after cleaning, and a tie in time.
    table = {
        'who': ['u', ' u', 'u '],
        'what': ['7', '7.0', '7'],
        'stars': [1, 2, 4],
        'when': [30, 20, 30],
    }
    options = {'rating': 'stars', 'duplicates': duplicates}
    found = content(read_by(door, tmp_path / '1', table, timestamp='when', **options))
    assert (found['rating'], found['time']) == with_time
    assert found['counts']['duplicates'] == 2
    found = content(read_by(door, tmp_path / '2', table, **options))
    assert found['rating'] == without


def test_sums_are_finite(tmp_path):
    table = {'who': ['u', 'u'], 'what': [1, 1], 'stars': [3e38, 3e38]}
    with pytest.raises(ValueError, match='must give finite float32 numbers, got a sum'):
        read_by('arrow', tmp_path, table, rating='stars', duplicates='sum')
