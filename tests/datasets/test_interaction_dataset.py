from __future__ import annotations

import copy
import errno
import gzip
import json
import os
import pickle
import sys
import time
import warnings
from datetime import datetime, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_irllrec.datasets._ingest import (
    build_plan,
    csv_table,
    disk_arrays,
    frame_table,
    id_encoder,
    parquet_table,
    partition_rows,
)
from pyg_irllrec.datasets.interaction_dataset import InteractionDataset

RATINGS = """\
who,what,stars,when,note
u2,b,4,20,x
u1,a,5,10,
u1,c,3.5,30,"two
lines"
u10,a,1,40,
"""
ITEMS = """\
what,title,year,genre
c,Heat,1995,
a,Toy Story,1995,Adventure|Animation
z,Unknown to all,,
"""
COLUMNS = {'user': 'who', 'item': 'what'}
ALL = {**COLUMNS, 'rating': 'stars', 'timestamp': 'when'}


@pytest.fixture
def files(tmp_path):
    """Write a file of this name, and return its path."""

    def write(name, text, encoding='utf-8'):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    write('ratings.csv', RATINGS)
    write('items.csv', ITEMS)
    return write


@pytest.fixture
def read(tmp_path, files):
    """Read a CSV file of this text."""

    def read(text=RATINGS, name='given.csv', **options):
        path = files(name, text)
        return InteractionDataset.from_csv(
            path, tmp_path / 'root', **{**COLUMNS, **options}
        )

    return read


def edges(dataset):
    """Original ids, rating and time of every interaction."""
    rates = dataset[0]['user', 'rates', 'item']
    columns = [
        *(
            ids.tolist() if isinstance(ids, torch.Tensor) else ids
            for ids in map(dataset.ids_of, ('user', 'item'), rates.edge_index)
        ),
        *(rates[name].tolist() for name in ('rating', 'time') if name in rates),
    ]
    return list(zip(*columns))


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_layout(tmp_path, files):
    dataset = InteractionDataset.from_csv(
        tmp_path / 'ratings.csv',
        tmp_path / 'root',
        **ALL,
        items=tmp_path / 'items.csv',
        item_text=('title', 'year', 'genre'),
    )
    data = dataset[0]
    assert len(dataset) == 1 and data.validate()
    assert data['user'].num_nodes == 3 and data['item'].num_nodes == 3
    # Sorted by code point, so that 'u10' comes before 'u2'.
    assert data['user'].id == dataset.user_ids == ['u1', 'u10', 'u2']
    assert data['item'].id == dataset.item_ids == ['a', 'b', 'c']
    rates = data['user', 'rates', 'item']
    assert rates.edge_index.tolist() == [[0, 0, 1, 2], [0, 2, 0, 1]]
    assert rates.rating.tolist() == [5, 3.5, 1, 4]
    assert rates.time.tolist() == [10, 30, 40, 20]
    assert rates.edge_index.dtype == rates.time.dtype == torch.long
    assert rates.rating.dtype == torch.float
    assert list(data['item'].text) == [
        'Toy Story. 1995. Adventure|Animation',
        '',
        'Heat. 1995',
    ]
    assert 'text' not in data['user']
    assert dataset.counts == {
        'rows': 4,
        'interactions': 4,
        'duplicates': 0,
        'users': 3,
        'items': 3,
        'item_texts': 2,
        'unknown_item_texts': 1,
    }
    assert repr(dataset) == (
        'InteractionDataset(num_users=3, num_items=3, num_interactions=4)'
    )
    assert names_in(tmp_path / 'root') == ['processed']
    assert names_in(tmp_path / 'root' / 'processed') == [
        'edge_index.npy',
        'item.arrow',
        'manifest.json',
        'rating.npy',
        'time.npy',
        'user.arrow',
    ]
    manifest = json.loads((tmp_path / 'root/processed/manifest.json').read_text())
    assert manifest['sources'][0]['name'] == 'ratings.csv'
    assert manifest['options']['item_text'] == ['title', 'year', 'genre']
    datetime.fromisoformat(manifest['date'])


def test_without_ratings_and_times(read):
    dataset = read()
    rates = dataset[0]['user', 'rates', 'item']
    assert set(rates.keys()) == {'edge_index'}


def test_reopens_a_written_dataset(read, tmp_path):
    first = read(**ALL)

    def mark(data):
        data.marked = True
        return data

    again = InteractionDataset(tmp_path / 'root', transform=mark)
    assert again[0].marked and edges(again) == edges(first)
    assert edges(pickle.loads(pickle.dumps(first))) == edges(first)
    assert edges(copy.deepcopy(first)) == edges(first)


def test_changes_in_memory_do_not_change_the_files(read, tmp_path):
    dataset = read(**ALL)
    data = dataset[0]
    data['user', 'rates', 'item'].edge_index += 7
    data['user', 'rates', 'item'].rating.zero_()
    assert edges(InteractionDataset(tmp_path / 'root'))[0] == ('u1', 'a', 5.0, 10)


# --- Ids ---


def test_integer_ids_of_csv(read):
    dataset = read('who,what\n10,-3\n2,40\n')
    assert dataset.user_ids.tolist() == [2, 10] and dataset.item_ids.tolist() == [
        -3,
        40,
    ]
    assert dataset.user_ids.dtype == torch.long
    assert dataset[0]['user'].id.tolist() == [2, 10]


@pytest.mark.parametrize('odd', ['007', '1.5', 'x', '+1', '99999999999999999999', '-0'])
def test_ids_that_are_not_all_integers_stay_as_they_are(read, odd):
    assert read(f'who,what\n1,3\n{odd},4\n').user_ids == sorted(['1', odd])


def test_seven_is_one_id_in_any_type(tmp_path):
    frame = pd.DataFrame({'who': ['2', '10'], 'what': np.array([7, 3], np.uint8)})
    dataset = InteractionDataset.from_frame(frame, tmp_path, **COLUMNS)
    assert dataset.user_ids.tolist() == [2, 10] and dataset.item_ids.tolist() == [3, 7]
    for seven in (7, '7', ' 7 ', 7.0, '7.0', np.int32(7)):
        assert dataset.nodes_of('item', [seven, '3']).tolist() == [1, 0]


@pytest.mark.parametrize(
    ('column', 'ids'),
    [
        (pd.Series(['b', 'a'], dtype='category'), ['a', 'b']),
        (pd.Series(['b', 'a'], dtype=object), ['a', 'b']),
        (pd.Series([1.0, 0.0]), [0, 1]),
        (pd.Series([1, 'a'], dtype=object), ['1', 'a']),
        (pd.Series([1, 0], dtype='Int64'), [0, 1]),
        (pd.Series(['b', 'a'], dtype=pd.ArrowDtype(pa.string())), ['a', 'b']),
    ],
)
def test_every_pandas_type_of_ids(tmp_path, column, ids):
    frame = pd.DataFrame({'who': column, 'what': [0, 1]})
    dataset = InteractionDataset.from_frame(frame, tmp_path, **COLUMNS)
    assert list(dataset.user_ids) == ids


def test_from_ids_to_nodes_and_back(read):
    dataset = read('who,what\nu2,7\nu1,5\nu10,5\n')
    assert dataset.nodes_of('user', ['u2', 'u1', 'u2']).tolist() == [2, 0, 2]
    assert dataset.nodes_of('item', torch.tensor([7, 5])).tolist() == [1, 0]
    assert dataset.nodes_of('item', [5]).dtype == torch.long
    assert dataset.ids_of('user', torch.tensor([2, 0])) == ['u2', 'u1']
    assert dataset.ids_of('item', [1, 0]).tolist() == [7, 5]
    assert dataset.nodes_of('user', []).tolist() == []
    assert dataset.ids_of('user', []) == []
    for ids, message in [
        (['u1', 'u3', 'v'], r"users in InteractionDataset\(.*got 2 unknown ids .*'u3'"),
        ([1], r'got 1 unknown ids \(first: 1\)'),
        ('u1', 'must be a list of ids or a tensor, got str'),
        (b'u1', 'must be a list of ids or a tensor, got bytes'),
        (5, 'must be a list of ids or a tensor, got int'),
        (None, 'must be a list of ids or a tensor, got NoneType'),
        ({'u1'}, 'must be a list of ids or a tensor, got set'),
        ({'u1': 1}, 'must be a list of ids or a tensor, got dict'),
        (torch.tensor(1), 'must be a list of ids or a tensor, got Tensor'),
        (torch.ones(1, 1), r'one value per row, got the shape \(1, 1\)'),
        (['u1', None], "row 1: column 'ids' lacks an id"),
        (['u1', ' '], "row 1: column 'ids' lacks an id"),
        ([True], 'must hold ids that are integers or strings, got bool'),
        (['u1', True], 'row 1: .* got bool among them'),
        ([b'u1'], 'must hold ids that are integers or strings, got binary'),
        (['\ud800'], 'row 0: .*half a surrogate pair'),
        ([['u1']], 'must hold ids that are integers or strings, got list'),
    ]:
        with pytest.raises(ValueError, match=message):
            dataset.nodes_of('user', ids)
    for nodes in (None, ['a'], 'a', [None], [[0], [1, 2]]):
        with pytest.raises(
            ValueError, match="'nodes' must be a vector of node indices"
        ):
            dataset.ids_of('user', nodes)
    for nodes in (torch.tensor(0), 0, [[0, 1]], torch.tensor([0, 1]).to_sparse()):
        for side in ('user', 'item'):
            with pytest.raises(ValueError, match="'nodes' must be a dense vector"):
                dataset.ids_of(side, nodes)
    assert dataset.ids_of('user', torch.tensor([1], dtype=torch.uint8)) == ['u10']
    assert dataset.nodes_of('user', (each for each in ['u2'])).tolist() == [2]
    assert dataset.nodes_of('user', pa.chunked_array([['u2'], ['u1']])).tolist() == [
        2,
        0,
    ]
    for ids in ([6], [8], [-1]):
        with pytest.raises(ValueError, match=f'got 1 unknown ids .first: {ids[0]}'):
            dataset.nodes_of('item', ids)
    for odd in ('x', '5.5', '99999999999999999999', 10**30):
        with pytest.raises(ValueError, match='unknown ids'):
            dataset.nodes_of('item', [5, odd])
    with pytest.raises(ValueError, match=r'row 0: .*integers or strings, got .5\.5'):
        dataset.nodes_of('item', [5.5])
    with pytest.raises(ValueError, match="'side' must be one of 'user', 'item'"):
        dataset.nodes_of('items', [5])
    for nodes in ([3], [-1]):
        with pytest.raises(ValueError, match='must hold users from 0 to 2, got'):
            dataset.ids_of('user', nodes)
    with pytest.raises(ValueError, match="'nodes' must hold integers"):
        dataset.ids_of('user', [0.5])


# --- Any order, any size of batches, any format ---


def as_pandas(frame, duplicates):
    """The expected interactions, computed by pandas."""
    frame = frame.sort_values('when', kind='stable')
    if duplicates == 'sum':
        total = frame.groupby(['who', 'what'], as_index=False).agg(
            {'stars': 'sum', 'when': 'last'}
        )
        frame = total
    else:
        frame = frame.drop_duplicates(['who', 'what'], keep=duplicates)
    frame = frame.sort_values(['who', 'what'])
    return list(frame[['who', 'what', 'stars', 'when']].itertuples(False, None))


@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(['a', 'b', 'é', '10', '9', 'A']),
            st.integers(-2, 3),
            st.integers(1, 10).map(lambda value: value / 2),
            st.integers(0, 5),
        ),
        min_size=1,
        max_size=40,
    ),
    duplicates=st.sampled_from(['last', 'first', 'sum']),
)
def test_equals_pandas(tmp_path_factory, rows, duplicates):
    folder = tmp_path_factory.mktemp('pandas')
    frame = pd.DataFrame(rows, columns=['who', 'what', 'stars', 'when'])
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter('ignore')
        patch.setattr(partition_rows, '_BUCKET_ROWS', 5)
        patch.setattr(partition_rows, '_SAMPLED', 1)
        dataset = InteractionDataset.from_frame(
            frame, folder, **ALL, duplicates=duplicates
        )
    # User ids are integers if all of them are.
    found = sorted((str(user), *rest) for user, *rest in edges(dataset))
    assert found == as_pandas(frame, duplicates)


@pytest.fixture
def many(tmp_path):
    """A frame, and files of the same rows."""
    rng = np.random.default_rng(0)
    size = 3_000
    frame = pd.DataFrame(
        {
            'who': [f'u{key}' for key in rng.integers(500, size=size)],
            'what': rng.integers(300, size=size),
            'stars': rng.integers(1, 11, size=size) / 2,
            'when': rng.permutation(size) + 10**9,
        }
    )
    frame.to_csv(tmp_path / 'all.csv', index=False)
    frame.to_parquet(tmp_path / 'all.parquet')
    frame[:1000].to_csv(tmp_path / 'one.csv', index=False)
    frame[1000:].to_csv(tmp_path / 'two.csv', index=False)
    return frame


@pytest.mark.filterwarnings('ignore:.*repeat a pair')
@pytest.mark.parametrize('small', [False, True])
def test_formats_files_and_batches_give_the_same(tmp_path, many, monkeypatch, small):
    if small:
        monkeypatch.setattr(csv_table, '_BLOCK_BYTES', 1000)
        monkeypatch.setattr(parquet_table, '_BATCH_ROWS', 100)
        monkeypatch.setattr(frame_table, '_BATCH_ROWS', 100)
        monkeypatch.setattr(id_encoder, '_MIN_PENDING', 10)
        monkeypatch.setattr(partition_rows, '_BUCKET_ROWS', 100)
        monkeypatch.setattr(partition_rows, '_SAMPLED', 7)
    expected = as_pandas(many, 'last')
    make = InteractionDataset
    for dataset in (
        make.from_csv(tmp_path / 'all.csv', tmp_path / '1', **ALL),
        make.from_csv(
            [tmp_path / 'two.csv', str(tmp_path / 'one.csv')], tmp_path / '2', **ALL
        ),
        make.from_parquet(tmp_path / 'all.parquet', tmp_path / '3', **ALL),
        make.from_frame(many, tmp_path / '4', **ALL),
        make.from_frame(many.sample(frac=1, random_state=1), tmp_path / '5', **ALL),
    ):
        assert edges(dataset) == expected
        assert dataset.counts['rows'] == 3000
        assert dataset.counts['interactions'] == len(expected)
        assert dataset.user_ids == sorted(set(many['who']))
        assert dataset.item_ids.tolist() == sorted(set(many['what']))


def test_other_forms_of_csv(read):
    expected = [('é', 'a"b')]
    text = 'who;what\né;"a""b"\n'
    assert edges(read(text, '1.csv', sep=';')) == expected
    latin = text.encode('latin-1')
    options = {'sep': ';', 'encoding': 'latin-1', 'force_reload': True}
    assert edges(read(latin, '2.csv', **options)) == expected
    packed = gzip.compress(text.encode())
    assert edges(read(packed, '3.csv.gz', sep=';', force_reload=True)) == expected
    bare = read(
        'é\t"a\n',
        '4.csv',
        sep='\t',
        quote=None,
        column_names=['who', 'what'],
        force_reload=True,
    )
    assert edges(bare) == [('é', '"a')]
    windows = '\ufeffwho,what\r\n\r\né,a b\r\n'
    assert edges(read(windows, '5.csv', force_reload=True)) == [('é', 'a b')]


# --- Duplicates ---

TWICE = 'who,what,stars,when\nu,a,1,30\nu,b,5,1\nu,a,2,20\nu,a,4,30\n'


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({'duplicates': 'last'}, (4, 30)),
        ({'duplicates': 'first'}, (2, 20)),
        ({'duplicates': 'sum'}, (7, 30)),
        ({'duplicates': 'last', 'timestamp': None}, (4,)),
        ({'duplicates': 'first', 'timestamp': None}, (1,)),
        ({'duplicates': 'sum', 'timestamp': None}, (7,)),
    ],
)
def test_duplicates(read, options, expected):
    with pytest.warns(UserWarning, match='2 of 4 interactions repeat a pair') as said:
        dataset = read(TWICE, **{**ALL, **options})
    assert said[0].filename == __file__
    assert edges(dataset)[0][2:] == expected and len(edges(dataset)) == 2
    assert dataset.counts['duplicates'] == 2


def test_repeats_are_counted_in_all_buckets(read, monkeypatch):
    monkeypatch.setattr(partition_rows, '_BUCKET_ROWS', 2)
    monkeypatch.setattr(partition_rows, '_SAMPLED', 1)
    text = 'who,what\n' + 'v,b\n' * 2 + 'u,b\nu,a\n' + 'w,a\n' * 3
    with pytest.raises(ValueError, match=r"got 3 rows .*first: user 'v', item 'b'\)"):
        read(text, duplicates='error')


def test_duplicates_are_refused_on_request(read, tmp_path):
    message = r"got 2 rows that repeat a pair \(first: user 'u', item 'a'\)"
    with pytest.raises(ValueError, match=message):
        read(TWICE, duplicates='error')
    assert len(edges(read(RATINGS, duplicates='error'))) == 4
    with pytest.raises(ValueError, match="'duplicates' must be one of 'last', 'first'"):
        read(TWICE, duplicates='mean', force_reload=True)
    with pytest.raises(ValueError, match="'sum' needs a column to sum"):
        read(TWICE, duplicates='sum', force_reload=True)


# --- Times ---


@pytest.mark.parametrize(
    ('written', 'seconds'),
    [
        ('1262304000', 1262304000),
        ('1262304000.9', 1262304000),
        ('-126230400.5', -126230401),
        ('1e9', 10**9),
        ('2010-01-01', 1262304000),
        ('2010-01-01 00:00:01', 1262304001),
        ('2010-01-01T00:00:01.75', 1262304001),
        ('2010-01-01T02:00:00Z', 1262311200),
        ('2010-01-01T02:00:00+02:00', 1262304000),
        ('1969-12-31T23:59:59.5', -1),
    ],
)
def test_times_of_csv(read, written, seconds):
    (edge,) = edges(read(f'who,what,when\nu,a,{written}\n', timestamp='when'))
    assert edge[2] == seconds


def test_times_of_several_kinds(read):
    text = 'who,what,when\nu,b,2010-01-01\nu,c,2010-01-01T00:00:00Z\n'
    dataset = read(text, timestamp='when')
    assert [edge[2] for edge in edges(dataset)] == [1262304000, 1262304000]
    assert dataset.time_unit is None
    dataset = read(
        'who,what,when\nu,a,5\nu,b, 7.0\n', '2.csv', timestamp='when', force_reload=True
    )
    assert [edge[2] for edge in edges(dataset)] == [5, 7]
    assert dataset.time_unit == 's'


@pytest.mark.parametrize(
    'column',
    [
        pd.Series(pd.to_datetime(['2010-01-01 01:00'])),
        pd.Series(pd.to_datetime(['2010-01-01 02:00']).tz_localize('Europe/Berlin')),
        pd.Series([1262307600.25]),
        pd.Series([1262307600], dtype='int32'),
        pd.Series(['2010-01-01T01:00:00']),
        pd.Series([datetime(2010, 1, 1, 1, tzinfo=timezone.utc)], dtype=object),
    ],
)
def test_times_of_pandas(tmp_path, column):
    frame = pd.DataFrame({'who': ['u'], 'what': ['a'], 'when': column})
    dataset = InteractionDataset.from_frame(
        frame, tmp_path, **COLUMNS, timestamp='when'
    )
    assert edges(dataset) == [('u', 'a', 1262307600)]


# --- Texts ---


@pytest.fixture
def texts(read):
    """The texts of items a, b and c, read from a table."""

    def read_texts(items, item_text=('title',), name='given.csv', **options):
        return read(
            'who,what\nu,a\nu,b\nu,c\n',
            name,
            items=items,
            item_text=item_text,
            **options,
        )

    return read_texts


def test_texts_are_joined_by_id_not_by_row(texts, files):
    path = files('t.csv', 'title,asin\nlast,c\n"two\nlines, and a comma",a\n')
    dataset = texts(path, 'title', item_id='asin')
    assert list(dataset[0]['item'].text) == ['two\nlines, and a comma', '', 'last']


def test_every_null_of_a_text_is_left_out(texts):
    frame = pd.DataFrame(
        {
            'what': ['a', 'b', 'c'],
            'title': ['A', np.nan, '  '],
            'year': [1995.0, np.nan, np.nan],
            'tags': [['x', 'y'], None, []],
            'adult': [True, None, None],
        }
    )
    dataset = texts(frame, ['title', 'year', 'tags', 'adult'])
    assert list(dataset[0]['item'].text) == ['A. 1995.0. x, y. True', '', '']
    assert dataset.counts['item_texts'] == 1
    # Empty cells, and the word NaN, which may be a title.
    frame = pd.DataFrame({'what': ['a', 'b'], 'title': [None, 'NaN']})
    dataset = texts(frame, name='2.csv', force_reload=True)
    assert list(dataset[0]['item'].text) == ['', 'NaN', '']


def test_texts_of_parquet(tmp_path, texts):
    table = pa.table({'what': ['b', 'a'], 'title': ['B', 'A'], 'tags': [['x'], None]})
    pa.parquet.write_table(table, tmp_path / 't.parquet')
    dataset = texts(tmp_path / 't.parquet', ('tags', 'title'))
    assert list(dataset[0]['item'].text) == ['A', 'x. B', '']


@pytest.mark.parametrize('ids', [[3, 1], ['3', '1'], [3.0, 1.0]])
def test_integer_ids_of_any_type_find_their_texts(read, ids):
    frame = pd.DataFrame({'what': ids, 'title': ['three', 'one']})
    dataset = read('who,what\nu,1\nu,2\nu,3\n', items=frame, item_text='title')
    assert list(dataset[0]['item'].text) == ['one', '', 'three']


def test_string_ids_of_any_type_find_their_texts(read):
    frame = pd.DataFrame({'what': [3, 7], 'title': ['three', 'seven']})
    dataset = read('who,what\nu,x\nu,3\n', items=frame, item_text='title')
    assert list(dataset[0]['item'].text) == ['three', '']


def test_texts_of_users(read):
    frame = pd.DataFrame({'id': ['u10'], 'city': ['Bonn']})
    dataset = read(users=frame, user_text='city', user_id='id')
    assert list(dataset[0]['user'].text) == ['', 'Bonn', '']
    assert 'text' not in dataset[0]['item']


def test_an_id_may_have_one_text_twice_but_not_two(texts, files, monkeypatch):
    monkeypatch.setattr(csv_table, '_BLOCK_BYTES', 30)
    same = files('same.csv', 'what,title\na,A\nb,B\na,A\nc,\nc,\n')
    assert list(texts(same)[0]['item'].text) == ['A', 'B', '']
    two = files('two.csv', 'what,title\nb,B\na,A one\nb,B\na,A two\n')
    with pytest.raises(ValueError, match=r"two.csv .*two for 'a': 'A one' and 'A two'"):
        texts(two, name='2.csv', force_reload=True)
    # It does not matter for an item without interactions.
    unknown = files('unknown.csv', 'what,title\na,A\nz,1\nz,2\n')
    assert (
        texts(unknown, name='3.csv', force_reload=True).counts['unknown_item_texts']
        == 2
    )


@pytest.mark.parametrize(
    ('text', 'options', 'message'),
    [
        (
            'what,title\nx,A\ny,B\n',
            {},
            r't.csv must hold ids of items .*got none in 2 rows',
        ),
        ('what,title\n', {}, r't.csv must hold ids of items .*got none in 0 rows'),
        ('asin,title\na,A\n', {}, "t.csv must have one column 'what', got no"),
        (
            'what,name\na,A\n',
            {},
            "one column 'title', got none: .*'what', 'name'",
        ),
        ('what,title\n,A\n', {}, "t.csv, line 2: column 'what' lacks an id"),
        (
            'what,title\na,A\n',
            {'item_text': ()},
            "'item_text' must name at least",
        ),
    ],
)
def test_text_files_that_do_not_match(texts, files, tmp_path, text, options, message):
    with pytest.raises(ValueError, match=message):
        texts(files('t.csv', text), **options)
    assert not (tmp_path / 'root').exists()


def test_titles_beside_texts_and_alone(texts, files, tmp_path):
    path = files('t.csv', 'asin,name,plot\nc,Heat,Cops\na,,Toys\n')
    dataset = texts(path, 'plot', item_id='asin', item_title='name')
    assert list(dataset[0]['item'].title) == ['', '', 'Heat']
    assert list(dataset[0]['item'].text) == ['Toys', '', 'Cops']
    assert dataset.counts['item_titles'] == 1
    with pytest.raises(ValueError, match="item_title = 'name', got 'plot'"):
        texts(path, 'plot', item_id='asin', item_title='plot')
    alone = texts(
        path, None, '2.csv', item_id='asin', item_title='name', force_reload=True
    )
    assert 'text' not in alone[0]['item'] and alone[0]['item'].title[2] == 'Heat'
    with pytest.raises(ValueError, match="one column 'none', got no"):
        texts(path, 'plot', item_id='asin', item_title='none', force_reload=True)


def test_columns_of_texts_without_texts(read):
    columns = ('text', 'id', 'title')
    for options in ({f'item_{name}': 'x'} for name in columns):
        with pytest.raises(ValueError, match="'items' must be a table"):
            read(**options)


# --- Bad input ---


def row(who='u', what='a', stars='1', when='2'):
    return f'{who},{what},{stars},{when}\n'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'bad.csv is empty'),
        ('who,what,stars,when\n', 'bad.csv must hold interactions, got no rows'),
        (
            'who,what,stars\nu,a,1\n',
            "'when', got none: its columns are 'who', 'what', 'st",
        ),
        ('who,what,who,stars,when\nu,a,u,1,2\n', "one column 'who', got more than one"),
        (row() + row(stars='good'), "line 3: column 'stars' must hold numbers, got 'g"),
        (row() + row(stars=''), "line 3: column 'stars' lacks a rating"),
        (row() + row(stars='nan'), r"line 3: column 'stars' lacks a rating \(NaN\)"),
        (row() + row(stars='-inf'), 'line 3: .*must hold finite float32 numbers, got'),
        (row() + row(stars='1e300'), "line 3: .*finite float32 numbers, got '1e300'"),
        (row() + row(when='soon'), "line 3: column 'when' must hold numbers or ISO"),
        (row() + row(when=''), "line 3: column 'when' lacks a timestamp"),
        (row() + row(when='NaN'), "line 3: column 'when' must hold .*got 'NaN'"),
        (row() + row(who=''), "line 3: column 'who' lacks an id"),
        (row() + row(what='""'), "line 3: column 'what' lacks an id"),
        (row() + 'u,a\n', 'line 3: Expected 4 columns, got 2: u,a'),
        (b'who,what,stars,when\n\xe9,a,1,2\n', "line 2: .*invalid UTF8.*'encoding'"),
    ],
)
def test_bad_csv_is_named_with_its_line(files, tmp_path, text, message):
    if text and b'who' not in (text if isinstance(text, bytes) else text.encode()):
        text = 'who,what,stars,when\n' + text
    path = files('bad.csv', text)
    with pytest.raises(ValueError, match=message) as error:
        InteractionDataset.from_csv(path, tmp_path / 'root', **ALL)
    assert 'bad.csv' in str(error.value) and '\n' not in str(error.value)
    assert not (tmp_path / 'root').exists()


def test_the_line_is_right_in_later_batches_and_files(files, tmp_path, monkeypatch):
    monkeypatch.setattr(csv_table, '_BLOCK_BYTES', 64)
    rows = ['who,what,stars,when\n', *(row(what=str(key)) for key in range(100))]
    good, bad = list(rows), list(rows)
    bad[77] = row(stars='x')
    paths = [files('good.csv', ''.join(good)), files('late.csv', ''.join(bad))]
    with pytest.raises(ValueError, match=r"late.csv, line 78: .*numbers, got 'x'"):
        InteractionDataset.from_csv(paths, tmp_path / 'root', **ALL)
    bare = files('bare.csv', ''.join(bad[1:]))
    with pytest.raises(ValueError, match=r'bare.csv, line 77: '):
        InteractionDataset.from_csv(
            bare,
            tmp_path / 'root',
            **ALL,
            column_names=['who', 'what', 'stars', 'when'],
        )


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'who': ['u', None]}, "'frame', row 1: column 'who' lacks an id"),
        ({'who': ['u', '']}, "row 1: column 'who' lacks an id"),
        ({'who': [1.0, np.nan]}, "row 1: column 'who' lacks an id"),
        ({'who': [1.5, 1.0]}, "column 'who' must hold ids .*integers or strings, got"),
        ({'who': [True, False]}, "'who' must hold ids .*integers or strings, got bool"),
        ({'stars': [1, np.nan]}, "row 1: column 'stars' lacks a rating"),
        ({'stars': [1, 'x']}, "row 1: column 'stars' must hold numbers, got 'x'"),
        ({'stars': [1, [2]]}, "row 1: column 'stars' must hold .* got list among them"),
        ({'stars': [[1], [2]]}, "column 'stars' must hold numbers, got list"),
        ({'stars': [True, False]}, "column 'stars' must hold numbers, got bool"),
        ({'when': [True, False]}, "column 'when' must hold .*dates, got bool"),
        ({'stars': [1, np.inf]}, "row 1: column 'stars' must hold finite"),
        ({'when': [1, np.nan]}, "row 1: column 'when' lacks a timestamp"),
        ({'when': [pd.Timestamp(0), pd.NaT]}, "row 1: column 'when' lacks a timestamp"),
        ({'when': [1, np.inf]}, "row 1: column 'when' must hold numbers or ISO"),
    ],
)
def test_bad_frames_are_named_with_their_row(tmp_path, change, message):
    good = {'who': ['u', 'v'], 'what': ['a', 'b'], 'stars': [1, 2], 'when': [1, 2]}
    with pytest.raises(ValueError, match=message):
        InteractionDataset.from_frame(
            pd.DataFrame({**good, **change}), tmp_path / 'root', **ALL
        )
    assert not (tmp_path / 'root').exists()


def test_bad_parquet(tmp_path, many, files):
    whole = (tmp_path / 'all.parquet').read_bytes()
    at = len(whole) // 3
    for name, content in {
        'empty.parquet': b'',
        'text.parquet': b'who,what\n1,2\n' * 10,
        'cut.parquet': whole[:-100],
        'damaged.parquet': whole[:at] + bytes(at) + whole[2 * at :],
    }.items():
        path = files(name, content)
        with pytest.raises(ValueError, match=f'{name} is not a Parquet file, or it'):
            InteractionDataset.from_parquet(path, tmp_path / 'root', **ALL)
    pa.parquet.write_table(
        pa.table({'who': pa.array([], 'string'), 'what': pa.array([], 'string')}),
        tmp_path / '3.parquet',
    )
    with pytest.raises(ValueError, match=r'3.parquet must hold interactions, got'):
        InteractionDataset.from_parquet(
            tmp_path / '3.parquet', tmp_path / 'root', **COLUMNS
        )


def test_tables_may_store_ids_in_different_types(tmp_path):
    for name, who in {'1': [1, 2], '2': [2.0, 3.0], '3': ['3', '4']}.items():
        table = pa.table({'who': who, 'what': ['a', 'b']})
        pa.parquet.write_table(table, tmp_path / f'{name}.parquet')
    paths = [tmp_path / f'{name}.parquet' for name in '123']
    dataset = InteractionDataset.from_parquet(paths, tmp_path / 'root', **COLUMNS)
    assert dataset.user_ids.tolist() == [1, 2, 3, 4]
    assert edges(dataset) == [
        (1, 'a'),
        (2, 'a'),
        (2, 'b'),
        (3, 'a'),
        (3, 'b'),
        (4, 'b'),
    ]


def test_bad_arguments(tmp_path, files):
    root, path = tmp_path / 'root', tmp_path / 'ratings.csv'
    make = InteractionDataset
    with pytest.raises(FileNotFoundError, match=r'none.csv does not exist'):
        make.from_csv(tmp_path / 'none.csv', root, **COLUMNS)
    with pytest.raises(ValueError, match='must be a file, got a folder'):
        make.from_csv(tmp_path, root, **COLUMNS)
    with pytest.raises(ValueError, match="'path' must name at least one file"):
        make.from_csv([], root, **COLUMNS)
    for source in (None, 5, [path, None]):
        with pytest.raises(ValueError, match="'path' must be the path of a file, got"):
            make.from_csv(source, root, **COLUMNS)
    for options in (
        {'user': None},
        {'item': ['what']},
        {'rating': 1.5},
        {'timestamp': True},
        {'item_text': 5, 'items': path},
        {'item_text': [None], 'items': path},
        {'item_text': 'note', 'item_id': 1.5, 'items': path},
        {'column_names': 5},
    ):
        with pytest.raises(ValueError, match=f"'{next(iter(options))}' must|'item_id'"):
            make.from_csv(path, root, **{**COLUMNS, **options})
    with pytest.raises(
        ValueError, match="'time_unit' must be one of 'auto', 's', 'ms'"
    ):
        make.from_csv(path, root, **COLUMNS, time_unit='h')
    with pytest.raises(ValueError, match="'sep' must be one character, got '::'"):
        make.from_csv(path, root, **COLUMNS, sep='::')
    with pytest.raises(
        ValueError, match="'encoding' must be a text encoding of Python"
    ):
        make.from_csv(path, root, **COLUMNS, encoding='klingon')
    with pytest.raises(ValueError, match=r"'frame' must be a table of .*list"):
        make.from_frame([1], root, **COLUMNS)
    with pytest.raises(ValueError, match=r"'items' must be a table of .*int"):
        make.from_csv(path, root, **COLUMNS, items=3, item_text='title')
    assert not root.exists()


def test_needs_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    with pytest.raises(ImportError, match=r"needs pyarrow.*pip install 'pyg_irllrec"):
        InteractionDataset.from_frame({}, tmp_path, **COLUMNS)
    with pytest.raises(ImportError, match='InteractionDataset'):
        InteractionDataset(tmp_path)


# --- Files in the root ---


def test_the_same_files_are_not_read_again(read, tmp_path, monkeypatch):
    first = read(**ALL)
    monkeypatch.setattr(build_plan, 'read_interactions', None)
    assert edges(read(**ALL)) == edges(first)  # Written again, with the same content.
    os.utime(tmp_path / 'given.csv', (0, 0))
    assert edges(read(**ALL)) == edges(first)
    assert edges(read(name='other_name.csv', **ALL)) == edges(first)


def test_other_data_is_refused_unless_forced(read, tmp_path):
    read(**ALL)
    with pytest.raises(ValueError, match=r"built with rating = 'stars', got None: "):
        read()
    # Of the same size.
    other = RATINGS.replace('u10', 'u11')
    with pytest.raises(
        ValueError, match=r'built from other data .*given.csv.*force_reload=True'
    ):
        read(other, **ALL)
    assert InteractionDataset(tmp_path / 'root').user_ids[1] == 'u10'
    assert read(other, **ALL, force_reload=True).user_ids[1] == 'u11'
    assert names_in(tmp_path / 'root') == ['processed']


def test_a_changed_file_of_the_same_size_and_time_is_other_data(read, tmp_path):
    read(**ALL)
    path = tmp_path / 'given.csv'
    before = path.stat()
    path.write_text(RATINGS.replace('u10', 'u11'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(ValueError, match=r'built from other data .*given.csv'):
        InteractionDataset.from_csv(path, tmp_path / 'root', **ALL)


def test_frames_are_identified_by_their_content(tmp_path):
    frame = pd.DataFrame({'who': ['u', 'v'], 'what': [1, 2], 'other': [1, 2]})
    first = InteractionDataset.from_frame(frame, tmp_path, **COLUMNS)
    same = frame.assign(other=0).set_index('other')
    assert edges(InteractionDataset.from_frame(same, tmp_path, **COLUMNS)) == edges(
        first
    )
    with pytest.raises(ValueError, match=r"built from other data .*'frame'"):
        InteractionDataset.from_frame(frame.assign(what=3), tmp_path, **COLUMNS)


def test_incomplete_datasets_are_refused(read, tmp_path):
    root = tmp_path / 'root'
    with pytest.raises(FileNotFoundError, match='holds no dataset: it has no manifest'):
        InteractionDataset(root)
    (root / 'processed').mkdir(parents=True)
    (root / 'processed' / 'data.pt').write_bytes(b'of another dataset')
    with pytest.raises(ValueError, match=r'holds no dataset.*force_reload=True'):
        read()
    (root / 'processed' / 'data.pt').rename(root / 'processed' / 'user.arrow')
    read(force_reload=True)
    for name in ('user.arrow', 'edge_index.npy'):
        path = root / 'processed' / name
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(ValueError, match=f'{name} is missing or damaged'):
            InteractionDataset(root)
        path.write_bytes(content)
    path = root / 'processed' / 'manifest.json'
    content = path.read_text()
    for text, message in [
        ('{', 'is damaged'),
        ('[]', 'is damaged'),
        (content.replace('"version": 2', '"version": 3'), 'version 2, got 3'),
    ]:
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            InteractionDataset(root)
        with pytest.raises(ValueError, match=message):
            read()


@pytest.mark.parametrize('before', [False, True])
@pytest.mark.parametrize(
    ('module', 'name'),
    [
        (np.lib.format, 'write_array_header_1_0'),
        (pa.ipc, 'new_file'),
        (json, 'dump'),
        (os, 'fsync'),
    ],
)
def test_a_full_disk_leaves_nothing(read, tmp_path, monkeypatch, module, name, before):
    root = tmp_path / 'root'
    if before:
        read(**ALL)
    other = RATINGS.replace('u10', 'u11')
    done = getattr(module, name)
    calls = []

    def fill(*args, **kwargs):
        calls.append(1)
        if len(calls) > 1 or name == 'dump':
            raise OSError(errno.ENOSPC, 'No space left on device')
        return done(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, fill)
        with pytest.raises(OSError, match=r'could not be written, .*No space') as error:
            read(other, **ALL, force_reload=True)
    assert error.value.errno == errno.ENOSPC
    if before:
        assert names_in(root) == ['processed']
        assert InteractionDataset(root).user_ids[1] == 'u10'
    else:
        assert names_in(root) == []
        assert read(other, **ALL).user_ids[1] == 'u11'


def test_no_room_for_temporary_files(read, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(disk_arrays, 'tempfile', FullDisk())
        with pytest.raises(OSError, match=f'{tmp_path} has no room for temporary'):
            read(**ALL)
    assert not (tmp_path / 'root').exists()
    assert len(edges(read(**ALL))) == 4


class FullDisk:
    def TemporaryFile(self, dir):
        return self

    def seek(self, place):
        pass

    def write(self, data):
        raise OSError(errno.ENOSPC, 'No space left on device')

    def close(self):
        pass


def test_leftovers_of_a_killed_process_are_not_a_dataset(read, tmp_path):
    root = tmp_path / 'root'
    for name in ('.processed-0123abcd', '.processed-4567cdef'):
        (root / name).mkdir(parents=True)
        (root / name / 'edge_index.npy').write_bytes(b'half')
    with pytest.raises(FileNotFoundError, match='holds no dataset'):
        InteractionDataset(root)
    days_ago = time.time() - 2 * 24 * 60 * 60
    os.utime(root / '.processed-0123abcd', (days_ago, days_ago))
    read()
    # The other folder may belong to a running process.
    assert names_in(root) == ['.processed-4567cdef', 'processed']


def test_another_process_may_be_faster(read, tmp_path, monkeypatch):
    make = build_plan.read_interactions

    def overtaken(*args):
        monkeypatch.setattr(build_plan, 'read_interactions', make)
        read(**ALL)
        return make(*args)

    monkeypatch.setattr(build_plan, 'read_interactions', overtaken)
    assert len(edges(read(**ALL))) == 4
    assert names_in(tmp_path / 'root') == ['processed']


def test_texts_stay_in_their_file(texts, tmp_path):
    frame = pd.DataFrame({'what': ['a'], 'title': ['x' * 1_000_000]})
    texts(frame)
    before = pa.total_allocated_bytes()
    data = InteractionDataset(tmp_path / 'root')[0]
    assert data['item'].text[0] == 'x' * 1_000_000
    assert pa.total_allocated_bytes() - before < 100_000


@pytest.mark.parametrize(
    'text',
    [
        'who,what\n1,1\n2,2\n3,"bad\n' + '4,4\n' * 1000,
        'who,what,note\n1,1,x\n2,2,y\n3,3,"bad\n' + '4,4,z\n' * 1000,
    ],
)
def test_a_quote_that_is_never_closed(read, text):
    with pytest.raises(ValueError, match='quote in line 4 that is never closed'):
        read(text)


def test_quotes_within_cells_are_valid(read):
    text = 'who,what,note\n1,1,5" tape\n2,2,"two\nlines"\n'
    assert len(read(text).user_ids) == 2


def test_columns_of_other_types_are_other_data(tmp_path):
    frame = pd.DataFrame({'who': [1, 2], 'what': [1, 2], 'when': [10**18, 2 * 10**18]})
    options = {**COLUMNS, 'timestamp': 'when', 'time_unit': 'ns'}
    InteractionDataset.from_frame(frame, tmp_path, **options)
    frame['when'] = pd.to_datetime(frame['when'])
    with pytest.raises(ValueError, match='was built from other data'):
        InteractionDataset.from_frame(frame, tmp_path, **options)


def test_an_omitted_option_is_a_change(tmp_path, files):
    first, root = tmp_path / 'ratings.csv', tmp_path / 'root'
    more = files('more.csv', 'who,what,title\nu1,b,B\n')
    options = {'items': more, 'item_text': 'title'}
    InteractionDataset.from_csv(first, root, **COLUMNS, **options)
    with pytest.raises(ValueError, match='was built with item_id'):
        InteractionDataset.from_csv([first, more], root, **COLUMNS)


def test_a_separator_by_name_and_the_same_given_are_no_change(tmp_path, files):
    for name, sep in (('tabs.tsv', '\t'), ('commas.csv', ',')):
        path = files(name, f'who{sep}what\n1{sep}2\n')
        built = [
            InteractionDataset.from_csv(path, tmp_path / name[:3], **COLUMNS, **given)
            for given in ({'sep': sep}, {}, {'sep': sep})
        ]
        assert {each[0]['user'].num_nodes for each in built} == {1}


def test_replacing_deletes_no_foreign_file(tmp_path, read):
    mine = tmp_path / 'root' / 'processed' / 'mine.txt'
    mine.parent.mkdir(parents=True)
    mine.write_text('precious')
    with pytest.raises(
        ValueError, match=r"contains 'mine\.txt', which is not a file of"
    ):
        read(force_reload=True)
    assert mine.read_text() == 'precious'


def test_dictionaries_of_tensors(tmp_path):
    columns = {'who': torch.tensor([1, 2, 10]), 'what': np.array([3, 3, 4])}
    dataset = InteractionDataset.from_frame(columns, tmp_path, **COLUMNS)
    assert dataset[0]['user'].id.tolist() == [1, 2, 10]


@pytest.mark.parametrize('kind', ['csv', 'parquet', 'frame'])
def test_wrong_columns_and_folders(tmp_path, kind):
    frame = pd.DataFrame({'u': [1, 2], 'i': [3, 4]})
    source = frame if kind == 'frame' else tmp_path / f'table.{kind}'
    if kind != 'frame':
        getattr(frame, f'to_{kind}')(source, index=False)
    read, root = getattr(InteractionDataset, f'from_{kind}'), tmp_path / 'root'
    for arguments, message in (
        (
            (root, 'u', 'x'),
            "must have one column 'x', got none: its columns are 'u', 'i'",
        ),
        ((root, 'u', 'u'), "'user' and 'item' must name two columns, got 'u' for both"),
        ((None, 'u', 'i'), "'root' must be a path"),
    ):
        folder, user, item = arguments
        with pytest.raises(ValueError, match=message):
            read(source, folder, user=user, item=item)
    assert not root.exists()
    with pytest.raises(ValueError, match="'root' must be a path"):
        InteractionDataset(None)


def test_nodes_of_ambiguous_floats(tmp_path):
    who = [2**24, 2**24 + 1]
    frame = {'who': who, 'what': who}
    dataset = InteractionDataset.from_frame(frame, tmp_path, user='who', item='what')
    for lossy in (
        torch.tensor(who).float(),
        np.array(who, np.float32),
        np.float32(who),
    ):
        with pytest.raises(ValueError, match='may have lost digits'):
            dataset.nodes_of('user', lossy)
    for exact in (
        torch.tensor(who).double(),
        np.array(who, float),
        list(map(float, who)),
    ):
        assert dataset.nodes_of('user', exact).tolist() == [0, 1]


def test_numbered_columns_are_refused(tmp_path):
    frame = pd.DataFrame({0: [7, 8], 1: [1, 2]})
    with pytest.raises(ValueError, match="'user' must be the name of a column, a str"):
        InteractionDataset.from_frame(frame, tmp_path, user=0, item=1)
    assert list(tmp_path.iterdir()) == []
