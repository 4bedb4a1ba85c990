from __future__ import annotations

import csv
import json
import weakref

import pandas
import pytest
from pyarrow import parquet

from pyg_irllrec.serving import Nodes, Recommendations, _recommend, _write_table
from tests.serving.bundles import bare_bundle, plain_bundle


def with_titles(monkeypatch, titles):
    """The plain bundle with other item titles."""
    bundle = plain_bundle()
    nodes = Nodes('item', bundle.items.ids, titles)
    monkeypatch.setattr(bundle, 'items', nodes)
    return bundle


def test_parquet(tmp_path, monkeypatch):
    monkeypatch.setattr(_write_table, '_GROUP_ROWS', 100)
    path = tmp_path / 'new' / 'best.parquet'
    plain_bundle().write_recommendations(path, k=5, batch_size=7, progress=False)
    expected = plain_bundle().recommend(k=5, batch_size=7).to_arrow()
    assert parquet.read_table(path).equals(expected)
    assert parquet.ParquetFile(path).num_row_groups == 3
    ids = tmp_path / 'ids.parquet'
    bare_bundle().write_recommendations(ids, [3, 4], 2, progress=False)
    assert parquet.read_table(ids)['user'].to_pylist() == [3, 3, 4, 4]


def test_csv(tmp_path, monkeypatch):
    titles = ['=SUM(A1)', 'a "b"\nc', *(f'Title {row}' for row in range(38))]
    bundle = with_titles(monkeypatch, titles)
    path = tmp_path / 'best.csv'
    bundle.write_recommendations(path, k=40, seen=True, progress=False)
    with open(path, newline='') as file:
        rows = list(csv.reader(file, quoting=csv.QUOTE_NONNUMERIC))
    assert rows[0] == ['user', 'rank', 'item', 'title', 'score']
    assert {row[3] for row in rows if row[2] == 'book 0'} == {"'=SUM(A1)"}
    assert {row[3] for row in rows if row[2] == 'book 1'} == {'a "b"\nc'}
    frame = pandas.read_csv(path)
    expected = bundle.recommend(k=40, seen=True).to_pandas()
    assert frame['item'].tolist() == expected['item'].tolist()
    assert frame['score'].tolist() == pytest.approx(expected['score'].tolist())


def test_json_lines(tmp_path):
    path = tmp_path / 'best.JSONL'
    plain_bundle().write_recommendations(path, ['user-001'], 3, progress=False)
    (row,) = map(json.loads, path.read_text().splitlines())
    assert row['user'] == 'user-001' and list(row['items'][0]) == [
        *('rank', 'item', 'title', 'score')
    ]
    found = plain_bundle().recommend(['user-001'], 3)['user-001']
    assert [each['item'] for each in row['items']] == [each.item for each in found]


def test_no_users(tmp_path):
    for name in ('best.csv', 'best.parquet', 'best.jsonl'):
        plain_bundle().write_recommendations(tmp_path / name, [], progress=False)
    assert parquet.read_table(tmp_path / 'best.parquet').num_rows == 0
    assert (tmp_path / 'best.csv').read_text().count('\n') == 1


@pytest.mark.parametrize('name', ['best.csv', 'best.parquet', 'best.jsonl'])
def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch, name):
    bundle, path = plain_bundle(), tmp_path / name
    bundle.write_recommendations(path, k=1, progress=False)
    before = path.read_bytes()
    calls = []

    def fail(users):
        calls.append(users)
        if len(calls) > 2:
            raise RuntimeError('out of memory')
        return bundle.ranker._scorer(users)

    monkeypatch.setattr(bundle.ranker, 'score', fail)
    with pytest.raises(RuntimeError, match='out of memory'):
        bundle.write_recommendations(path, k=5, batch_size=8, progress=False)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('name', ['best.csv', 'best.parquet', 'best.jsonl'])
def test_one_batch_at_a_time(tmp_path, monkeypatch, name):
    """Batches are freed once they are written."""
    made, most = weakref.WeakSet(), []

    class Watched(Recommendations):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.add(self)
            most.append(len(made))

    monkeypatch.setattr(_recommend, 'Recommendations', Watched)
    bundle = plain_bundle()
    bundle.write_recommendations(tmp_path / name, k=2, batch_size=1, progress=False)
    assert len(most) == 60 and max(most) <= 2


@pytest.mark.parametrize(
    ('path', 'options', 'message'),
    [
        ('best.txt', {}, r"'path' must end in .csv, .jsonl or .parquet"),
        ('best', {}, r"'path' must end in"),
        ('', {}, r"'path' must be a path"),
        (5, {}, r"'path' must be a path"),
        ('best.csv', {'users': ['nobody']}, r"'users' must hold ids"),
        ('best.csv', {'k': 0}, r"'k' must be"),
        ('best.csv', {'batch_size': 0}, r"'batch_size'"),
        ('best.csv', {'progress': 'yes'}, r"'progress'"),
    ],
)
def test_invalid_arguments_write_nothing(tmp_path, monkeypatch, path, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        plain_bundle().write_recommendations(path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_replaced(tmp_path):
    (tmp_path / 'best.csv').mkdir()
    with pytest.raises(ValueError, match="'path' must be a file, got the folder"):
        plain_bundle().write_recommendations(tmp_path / 'best.csv')
