from __future__ import annotations

import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest

from pyg_irllrec.datasets._ingest import stream_table
from pyg_irllrec.datasets._ingest.stream_table import StreamTable
from pyg_irllrec.datasets.interaction_dataset import InteractionDataset
from tests.datasets.doors import content

TABLE = pa.table(
    {
        'who': ['b', 'a', 'b', 'c'],
        'what': [1, 2, 3, 1],
        'stars': [1.0, 2.0, 3.0, 4.0],
        'when': [40, 30, 20, 10],
        'wide': [['x'] * 9] * 4,
    }
)
ITEMS = pa.table({'what': [1, 2], 'title': ['Heat', 'Toy Story']})
TEXTS = {'item_text': 'title', 'item_title': 'title'}
COLUMNS = {'user': 'who', 'item': 'what', 'rating': 'stars', 'timestamp': 'when'}


class Capsule:
    """An object with Arrow's C stream, which can be read only once."""

    def __init__(self, table):
        self.reader = table.to_reader(max_chunksize=3)

    def __arrow_c_stream__(self, requested_schema=None):
        return self.reader.__arrow_c_stream__(requested_schema)


class RayDataset:
    """A dataset like that of Ray Data: blocks, some of them empty."""

    def __init__(self, blocks):
        self.blocks = blocks

    def columns(self):
        return self.blocks[0].column_names

    def select_columns(self, names):
        return RayDataset([block.select(names) for block in self.blocks])

    def iter_batches(self, *, batch_size, batch_format):
        assert batch_size is None and batch_format == 'pyarrow'
        yield from self.blocks


def by_duckdb(table):
    duckdb = pytest.importorskip('duckdb')
    return duckdb.connect().from_arrow(table)


STREAMS = {
    'capsule': Capsule,
    'reader': lambda table: table.to_reader(max_chunksize=1),
    'batch': lambda table: table.combine_chunks().to_batches()[0],
    'polars': pl.DataFrame,
    'lazy': lambda table: pl.DataFrame(table).lazy(),
    'dataset': pyarrow.dataset.dataset,
    'scanner': lambda table: pyarrow.dataset.dataset(table).scanner(),
    'ray': lambda table: RayDataset([table[:1], table[:0], table[1:]]),
    'duckdb': by_duckdb,
}


def read(frame, root, **options):
    return InteractionDataset.from_frame(frame, root, **{**COLUMNS, **options})


@pytest.fixture
def expected(tmp_path):
    return content(read(TABLE, tmp_path / '0', items=ITEMS, **TEXTS))


@pytest.mark.parametrize('kind', STREAMS)
def test_every_stream_equals_its_table(tmp_path, expected, kind):
    make = STREAMS[kind]
    root = tmp_path / 'root'
    dataset = read(make(TABLE), root, items=make(ITEMS), **TEXTS)
    assert list(dataset[0]['item'].title) == ['Heat', 'Toy Story', '']
    assert content(dataset) == expected
    # The same rows in other batches are the same data.
    again = read(Capsule(TABLE), root, items=Capsule(ITEMS), **TEXTS)
    assert content(again) == expected
    with pytest.raises(ValueError, match=r"built from other data .*'frame'"):
        read(make(TABLE[1:]), root, items=make(ITEMS), **TEXTS)


def test_two_streams_of_one_connection(tmp_path, expected):
    duckdb = pytest.importorskip('duckdb')
    connection = duckdb.connect()
    connection.register('plays', TABLE)
    connection.register('titles', ITEMS)
    frame = connection.sql('select * from plays')
    items = connection.sql('select * from titles')
    assert content(read(frame, tmp_path / '1', items=items, **TEXTS)) == expected


def test_only_requested_columns_are_read(tmp_path):
    def fail(series):
        raise AssertionError

    lazy = pl.DataFrame(TABLE).lazy()
    lazy = lazy.with_columns(
        pl.col('who').map_batches(fail, return_dtype=pl.String).alias('other')
    )
    assert read(lazy, tmp_path).user_ids == ['a', 'b', 'c']


def test_memory_holds_a_few_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(stream_table, '_BATCH_ROWS', 1000)
    start, most = pa.total_allocated_bytes(), []

    def batches():
        for _ in range(100):
            most.append(pa.total_allocated_bytes() - start)
            yield pa.record_batch({'who': pa.array(range(900))})

    reader = pa.RecordBatchReader.from_batches(
        pa.schema({'who': pa.int64()}), batches()
    )
    table = StreamTable(reader, 'it', ['who'], tmp_path)
    assert max(most) < 10 * 8 * 1000
    assert [len(batch) for batch in table.batches(['who'])] == [1000] * 90
    assert list(tmp_path.iterdir()) == []


# --- Bad input ---


def failing(error):
    def batches():
        yield from TABLE.to_batches(max_chunksize=2)[:1]
        raise error

    return pa.RecordBatchReader.from_batches(TABLE.schema, batches())


class Failing(RayDataset):
    def select_columns(self, names):
        return self

    def iter_batches(self, **options):
        yield self.blocks[0]
        raise RuntimeError('a worker died\nTraceback ...')


@pytest.mark.parametrize(
    ('stream', 'message'),
    [
        (failing(OSError('the network is down')), '2 rows, .*: .*the network is down'),
        (failing(ValueError('no such shard')), '2 rows, .*no such shard'),
        (Failing([TABLE]), '4 rows, .*: RuntimeError: a worker died$'),
    ],
)
def test_a_stream_that_fails_half_way_writes_nothing(tmp_path, stream, message):
    with pytest.raises(ValueError, match=f"'frame' failed after {message}"):
        read(stream, tmp_path / 'root')
    assert list(tmp_path.iterdir()) == []


def test_engines_that_fail(tmp_path):
    lazy = pl.DataFrame(TABLE).lazy()
    with pytest.raises(ValueError, match=r"'frame' must be a table that can be .*zz"):
        read(lazy.select('who', 'zz'), tmp_path)
    wrong = lazy.with_columns(pl.col('who').cast(pl.Int64))
    with pytest.raises(ValueError, match=r"'frame' failed after 0 rows, .*conversion"):
        read(wrong, tmp_path)
    duckdb = pytest.importorskip('duckdb')
    duckdb.register('it', TABLE)
    wrong = duckdb.sql('select cast(who as int) who, * exclude who from it')
    with pytest.raises(ValueError, match=r"'frame' .*Could not convert string 'b'"):
        read(wrong, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('kind', STREAMS)
def test_missing_columns_and_rows(tmp_path, kind):
    make = STREAMS[kind]
    with pytest.raises(
        ValueError, match="'frame' must have one column 'day', got none"
    ):
        read(make(TABLE), tmp_path, timestamp='day')
    if kind != 'batch':
        with pytest.raises(
            ValueError, match="'frame' must hold interactions, got no r"
        ):
            read(make(TABLE[:0]), tmp_path)
    with pytest.raises(ValueError, match="'items' must hold ids of items"):
        read(make(TABLE), tmp_path, items=ITEMS[:0].to_reader(), item_text='title')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('column', 'values', 'message'),
    [
        ('who', ['b', 'a', None, 'c'], "row 2: column 'who' lacks an id"),
        ('who', ['b', 'a', 'nan', 'c'], "row 2: column 'who' lacks an id"),
        ('what', [1.0, 2.0, float('nan'), 3.0], "row 2: column 'what' lacks an id"),
        ('what', [1.0, 2.0, 3.0, 1.5], "row 3: column 'what' must hold ids"),
        ('what', [True, False] * 2, "row 0: column 'what' must .*, got bool"),
        ('who', [[1]] * 4, "row 0: column 'who' must .*, got list"),
        ('stars', [1.0, 2.0, 3.0, float('inf')], "row 3: column 'stars' must hold fin"),
        ('when', [1, 2, 3, None], "row 3: column 'when' lacks a timestamp"),
    ],
)
def test_bad_values_are_named_with_their_row(tmp_path, column, values, message):
    place = TABLE.column_names.index(column)
    table = TABLE.set_column(place, column, pa.array(values))
    with pytest.raises(ValueError, match=f"'frame', {message}"):
        read(table.to_reader(max_chunksize=1), tmp_path / 'root')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings('ignore:.*repeat a pair')
def test_blocks_of_several_types(tmp_path):
    small = TABLE.set_column(1, 'what', TABLE['what'].cast(pa.int32()))
    dataset = read(RayDataset([TABLE, small]), tmp_path / '1', duplicates='last')
    assert dataset.item_ids.tolist() == [1, 2, 3] and dataset.counts['rows'] == 8
    lists = TABLE.set_column(1, 'what', pa.array([[1]] * 4))
    with pytest.raises(
        ValueError, match=r'one type per column, got \(.*list.*\) in row 4 after'
    ):
        read(RayDataset([TABLE, lists]), tmp_path / '2')
