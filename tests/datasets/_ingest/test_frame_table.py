from __future__ import annotations

import datetime
import decimal
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
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
        ([1], r"columns of one length, got \{'who': 1, 'what': 2\}"),
    ],
)
def test_what_is_no_column_of_ids_is_named(read, tmp_path, who, message):
    with pytest.raises(ValueError, match=message):
        read({'who': who, 'what': [1, 2]})
    assert not (tmp_path / 'root').exists()


@pytest.mark.parametrize(
    'frame',
    [[1], None, 'x.csv', HeteroData(), FRAME['who'], np.zeros(2), pd.Series([1])],
)
def test_what_is_no_table(read, frame):
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
def test_what_is_no_column_of_times_is_named(read, when, message):
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
        pd.Series(['1970-01-02', '1970-01-03'], dtype='category'),
    ],
)
def test_dates_of_every_type(read, when):
    dataset = read({'who': [1, 2], 'what': [1, 2], 'when': when}, timestamp='when')
    times = dataset[0]['user', 'rates', 'item'].time
    assert times.tolist() == [86_400, 2 * 86_400] and dataset.time_unit is None
