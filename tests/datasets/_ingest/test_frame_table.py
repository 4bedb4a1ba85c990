from __future__ import annotations

import datetime
import decimal
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.datasets.interaction_dataset import InteractionDataset


@pytest.fixture
def read(tmp_path):
    def read(frame, **options):
        options = {'user': 'who', 'item': 'what', **options}
        return InteractionDataset.from_frame(frame, tmp_path / 'root', **options)

    return read


TABLE = pa.table({'who': ['b', 'a'], 'what': [1, 2]})
FRAME = pl.DataFrame({'who': ['b', 'a'], 'what': [1, 2]})


@pytest.mark.parametrize(
    'frame',
    [
        TABLE,
        TABLE.to_reader(),
        TABLE.to_batches()[0],
        FRAME,
        FRAME.lazy(),
        FRAME.with_columns(pl.col('who').cast(pl.Categorical)),
        FRAME.with_columns(pl.col('who').cast(pl.Enum(['a', 'b']))),
        {'who': TABLE['who'], 'what': FRAME['what']},
        {'who': np.array(['b', 'a']), 'what': torch.tensor([1.0, 2.0]).bfloat16()},
        {'who': np.array(['b', 'a']), 'what': np.array([1, 2], '>f8')},
        {'who': np.array(['b', 'a']), 'what': torch.tensor([1, 2]).double()},
        {'who': np.array(['b', 'a']), 'what': np.array([1, 2], '>i4')},
        {'who': pd.Categorical(['b', 'a']), 'what': range(1, 3)},
        {'who': ['b', 'a'], 'what': [decimal.Decimal('1.00'), decimal.Decimal(2)]},
    ],
)
def test_tables_of_many_kinds(read, frame):
    dataset = read(frame)
    assert dataset.user_ids == ['a', 'b'] and dataset.item_ids.tolist() == [1, 2]
    assert dataset[0]['user', 'rates', 'item'].edge_index.tolist() == [[0, 1], [1, 0]]


def test_integers_beyond_int64(read):
    big = [2**64, 10**30]
    dataset = read(pd.DataFrame({'who': big, 'what': np.array([2**63, 1], np.uint64)}))
    assert dataset.user_ids == [str(10**30), str(2**64)]
    assert dataset.item_ids == ['1', str(2**63)]
    assert dataset.nodes_of('user', big).tolist() == [1, 0]


@pytest.mark.parametrize(
    ('who', 'message'),
    [
        ([True, False], 'integers or strings, got bool'),
        ([b'a', b'b'], 'integers or strings, got binary'),
        ([b'a', 'b'], 'integers or strings, got binary'),
        ([datetime.date(2020, 1, 1)] * 2, 'integers or strings, got date32'),
        (pd.to_datetime(['2020', '2021']), 'integers or strings, got timestamp'),
        (pd.period_range('2020', periods=2, freq='D'), 'integers or strings, got ext'),
        ([uuid.UUID(int=1)] * 2, 'integers or strings, got ext|UUID among them'),
        ([(1, 2), (3, 4)], 'integers or strings, got list'),
        ([{'a': 1}, {'a': 2}], 'integers or strings, got struct'),
        ([1.5, 2], "row 0: .*integers or strings, got '1.5'"),
        ([1.0, np.inf], "row 1: .*integers or strings, got 'inf'"),
        ([decimal.Decimal('1'), decimal.Decimal('2.5')], "row 1: .*got '2.5'"),
        (np.array([1, 2**24], np.float32), 'row 1: .*lost digits'),
        (np.array([1, 2**11], np.float16), 'row 1: .*lost digits'),
        (torch.tensor([1, 2**11]).half(), 'row 1: .*lost digits'),
        (torch.tensor([1, 2**24]).float(), 'row 1: .*lost digits'),
        (torch.tensor([1, 2**8]).bfloat16(), 'below 256 in torch.bfloat16'),
        (['a', np.float32(2**24)], 'row 1: .*float64 or integers, got float32'),
        (torch.tensor([1, 2]).to_sparse(), r'must be dense, .*call \.to_dense\(\)'),
        (torch.eye(2).to_sparse_csr(), r'must be dense, .*call \.to_dense\(\)'),
        (torch.tensor([1j, 2]), 'got complex'),
        (torch.tensor([True, False]), 'integers or strings, got bool'),
        (np.array([1.5, 2], '>f8'), "row 0: .*integers or strings, got '1.5'"),
        (pd.Series(np.array([1.5, 2], '>f8')), "row 0: .*strings, got '1.5'"),
        (np.ma.masked_array([1.5, 2], dtype='>f8'), "row 0: .*strings, got '1.5'"),
        (np.ma.masked_array([1, 2], [0, 1], '>i8'), "row 1: column 'who' lacks"),
        (np.array([1.5, 2], np.longdouble), '64 bits at most, got (float|long)'),
        (
            torch.ones(2).to(torch.float8_e5m2),
            'type that NumPy supports, got torch.float8',
        ),
        ([1.0, True], 'row 1: .* got bool among them'),
        ([True, 1.0], 'row 0: .* got bool among them'),
        ([1, True], 'row 1: .* got bool among them'),
        (np.array([1.0, np.True_], object), 'row 1: .* got bool'),
        (pd.Series([1.0, True], dtype=object), 'row 1: .* got bool among them'),
        ([np.inf, 'a'], "row 0: .*finite numbers, got 'inf'"),
        (['a', -np.inf], "row 1: .*finite numbers, got '-inf'"),
        (bytearray(b'ab'), 'must be a sequence of values, got bytearray'),
        ([1j, 2j], 'row 0: .* got complex among them'),
        (['a', True], 'row 1: .* got bool among them'),
        (['a', datetime.date(2020, 1, 1)], 'row 1: .* got date among them'),
        (['a', '\ud800'], 'row 1: .*half a surrogate pair'),
        ([1, pd.NA], "row 1: column 'who' lacks an id"),
        ([1, 'a', np.nan][1:], "row 1: column 'who' lacks an id"),
        (np.ma.masked_array([1, 2], [0, 1]), "row 1: column 'who' lacks an id"),
        (5, 'must be a sequence of values, got int'),
        ('ab', 'must be a sequence of values, got str'),
        ({1, 2}, 'must be a sequence of values, got set'),
        ({'a': 1, 'b': 2}, 'must be a sequence of values, got dict'),
        (np.zeros((2, 2)), r'one value per row, got the shape \(2, 2\)'),
        (torch.tensor(1), r'one value per row, got the shape \(\)'),
        ([1], r"columns of the same length, got \{'who': 1, 'what': 2\}"),
    ],
)
def test_wrong_columns_of_ids_are_named(read, tmp_path, who, message):
    with pytest.raises(ValueError, match=message):
        read({'who': who, 'what': [1, 2]})
    assert not (tmp_path / 'root').exists()


@pytest.mark.parametrize(
    'frame',
    [[1], None, 'x.csv', HeteroData(), FRAME['who'], np.zeros(2), pd.Series([1])],
)
def test_wrong_tables(read, frame):
    with pytest.raises(ValueError, match="'frame' must be a table"):
        read(frame)


@pytest.mark.parametrize('frame', [TABLE, FRAME, FRAME.to_pandas(), {'who': [1]}])
def test_missing_columns_are_named(read, frame):
    with pytest.raises(ValueError, match="'frame' must have one column 'item', got no"):
        read(frame, item='item')


@pytest.mark.parametrize(
    ('when', 'message'),
    [
        (np.array([1.6e9, 0], np.float32), 'must hold float64 or integers, got float'),
        ([-(2**63), 0], 'row 0: .*lacks a timestamp'),
        (np.array(['2020', 'NaT'], 'M8[s]'), 'row 1: .*lacks a timestamp'),
        (pa.array([0, 10**16], pa.timestamp('s')), 'row 1: .*years 1 to 9999'),
        (pa.array([0, 1], pa.time64('us')), 'numbers or ISO 8601 dates, got time64'),
        (pa.array([0, 1], pa.duration('s')), 'ISO 8601 dates, got duration'),
        (np.array([0, 2**64 - 1], np.uint64), 'numbers or ISO 8601 dates|no unit'),
    ],
)
def test_wrong_columns_of_times_are_named(read, when, message):
    with pytest.raises(ValueError, match=message):
        read({'who': [1, 2], 'what': [1, 2], 'when': when}, timestamp='when')


@pytest.mark.parametrize(
    'when',
    [
        pa.array([1, 2], pa.date32()),
        pa.array([86_400_000, 2 * 86_400_000], pa.date64()),
        pa.array(
            [86_400 * 10**9, 2 * 86_400 * 10**9], pa.timestamp('ns', 'Asia/Tokyo')
        ),
        np.array(['1970-01-02', '1970-01-03'], 'M8[D]'),
        np.array(['1970-01-02', '1970-01-03'], 'M8[h]'),
        np.array(['1970-01-02', '1970-01-03'], 'M8[m]'),
        np.array(['1970-01-02', '1970-01-03'], '>M8[us]'),
        pd.Series(['1970-01-02', '1970-01-03'], dtype='category'),
    ],
)
def test_dates_of_every_type(read, when):
    dataset = read({'who': [1, 2], 'what': [1, 2], 'when': when}, timestamp='when')
    times = dataset[0]['user', 'rates', 'item'].time
    assert times.tolist() == [86_400, 2 * 86_400] and dataset.time_unit is None


@pytest.mark.parametrize('unit', ['Y', 'M', 'W'])
def test_dates_of_units_that_arrow_lacks(read, unit):
    when = np.array(['2024-01-04', '2020-01-02'], f'M8[{unit}]')
    frame = {'who': [1, 2], 'what': [1, 2], 'when': when}
    times = read(frame, timestamp='when')[0]['user', 'rates', 'item'].time
    assert times.tolist() == when.astype('M8[s]').astype(int).tolist()
    for wrong, message in ((2**62, 'years 1 to 9999'), ('NaT', 'lacks a timestamp')):
        frame['when'] = np.array([0, wrong], f'M8[{unit}]')
        with pytest.raises(ValueError, match=message):
            read(frame, timestamp='when', force_reload=True)


def test_large_numbers_of_64_bits_stay_exact(read):
    who = torch.tensor([10**9, 10**9 + 1], dtype=torch.double)
    when = torch.tensor([1_577_934_245.0, 1_577_934_246.0], dtype=torch.double)
    dataset = read({'who': who, 'what': [1, 2], 'when': when}, timestamp='when')
    assert dataset.user_ids.tolist() == [10**9, 10**9 + 1]
    times = dataset[0]['user', 'rates', 'item'].time
    assert times.tolist() == [1_577_934_245, 1_577_934_246]


@pytest.mark.parametrize('name', ['stars', 'when'])
@pytest.mark.parametrize('values', [[2.5, True], [True, 2.5], [2, True]])
def test_a_boolean_is_not_a_number(read, name, values):
    frame = {'who': [1, 2], 'what': [1, 2], name: values}
    option = {'stars': 'rating', 'when': 'timestamp'}[name]
    with pytest.raises(ValueError, match=f"column '{name}' .*bool"):
        read(frame, **{option: name})


def not_utf8():
    offsets = pa.py_buffer(np.array([0, 1, 3], np.int32).tobytes())
    return pa.Array.from_buffers(
        pa.string(), 2, [None, offsets, pa.py_buffer(b'a\xff\xfe')]
    )


@pytest.mark.parametrize('name', ['who', 'stars', 'when', 'title'])
@pytest.mark.parametrize('kind', ['plain', 'dictionary', 'list'])
def test_texts_not_in_utf8_are_named(read, tmp_path, name, kind):
    wrong = not_utf8()
    if kind == 'dictionary':
        wrong = pa.DictionaryArray.from_arrays([0, 1], wrong)
    if kind == 'list':
        wrong = pa.ListArray.from_arrays([0, 1, 2], wrong)
    column = {
        'who': ['a', 'b'],
        'what': [1, 2],
        'stars': ['1', '2'],
        'when': ['1', '2'],
    }
    table = pa.table({**column, name: wrong})
    options = {'rating': 'stars', 'timestamp': 'when'}
    if name == 'title':
        options |= {'items': table, 'item_text': 'title'}
    place = "'items'" if name == 'title' else "'frame'"
    message = rf"{place}, row 1: column '{name}' holds a text that is not in UTF-8"
    with pytest.raises(ValueError, match=message):
        read(table, **options)
    pa.parquet.write_table(table, tmp_path / 't.parquet')
    if name == 'title':
        options['items'] = tmp_path / 't.parquet'
    with pytest.raises(
        ValueError, match=r't\.parquet, row 1: .*UTF-8|t\.parquet .*UTF8'
    ):
        InteractionDataset.from_parquet(
            tmp_path / 't.parquet', tmp_path / 'x', user='who', item='what', **options
        )


# --- Texts ---


def read_texts(read, values):
    items = {'what': list(range(len(values))), 'title': values}
    who = list(range(len(values)))
    data = read({'who': who, 'what': who}, items=items, item_text='title')[0]
    return list(data['item'].text)


def test_each_text_depends_on_its_row_alone(read):
    values = [
        'a',
        ['b', ' ', None, np.nan, 'c '],
        True,
        1999,
        7.5,
        None,
        np.nan,
        [['d'], 'e'],
    ]
    texts = ['a', 'b, c', 'True', '1999', '7.5', '', '', 'd, e']
    assert read_texts(read, values) == texts


@pytest.mark.parametrize('values', [[1999, 7.5], pd.Series([1999, 7.5], dtype=object)])
def test_an_integer_stays_an_integer_beside_a_float(read, values):
    assert read_texts(read, values) == ['1999', '7.5']


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (['a', {'b': 1}], 'row 1: .*must hold texts, numbers or lists .*got a record'),
        ([{'b': 1}, {'c': 1}], 'row 0: .*got a record'),
        (['a', [{'b': 1}]], 'row 1: .*got a record'),
        (pa.array([{'b': 1}, {'b': 2}]), 'row 0: .*got a record'),
        (['a', b'b'], 'row 1: .*got bytes'),
        (pa.array([b'a', b'b']), 'row 0: .*got bytes'),
        (pa.array([[('a', 1)], []], pa.map_(pa.string(), pa.int64())), 'got map'),
        (['a', ['\ud800']], 'row 1: .*half a surrogate pair'),
        (5, 'must be a sequence of values, got int'),
    ],
)
def test_wrong_texts_are_named(read, values, message):
    items = {'what': [1, 2], 'title': values}
    with pytest.raises(ValueError, match=rf"'items', .*{message}"):
        read({'who': [1, 2], 'what': [1, 2]}, items=items, item_text='title')


@pytest.mark.skipif(not hasattr(np.dtypes, 'StringDType'), reason='NumPy below 2')
def test_strings_of_numpy_of_any_length(read):
    texts = np.dtypes.StringDType(na_object=None)
    frame = {'who': np.array(['b', 'a'], texts), 'what': np.array(['1', '2'], texts)}
    items = {'what': frame['what'], 'title': np.array(['Heat', None], texts)}
    dataset = read(frame, items=items, item_text='title')
    assert dataset.user_ids == ['a', 'b'] and dataset.item_ids.tolist() == [1, 2]
    assert list(dataset[0]['item'].text) == ['Heat', '']
    assert dataset.nodes_of('user', frame['who']).tolist() == [1, 0]
