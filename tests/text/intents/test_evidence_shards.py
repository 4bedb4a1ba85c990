from __future__ import annotations

import re
import threading

import pytest

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.text.intents import evidence_shards
from pyg_irllrec.text.intents.evidence import Evidence, choose_evidence
from pyg_irllrec.text.intents.evidence_shards import EvidenceShards, save_evidence
from tests.text.chat_data import some_evidence

pa = pytest.importorskip('pyarrow')
parquet = pytest.importorskip('pyarrow.parquet')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_shards, '_GROUP_ROWS', 4)
    monkeypatch.setattr(evidence_shards, '_CHUNK_ROWS', 3)
    return tmp_path / 'shards'


def test_saved_evidence_is_read(folder):
    evidence = [
        *some_evidence(10),
        Evidence('user', 10, ()),
        Evidence('item', 'é', ('x',), (('item', 'é'), ('user', 3)), 'item'),
    ]
    save_evidence(folder, iter(evidence), shard_size=6)
    shards = EvidenceShards(folder)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f'part-0000{k}.parquet' for k in range(4)]
    sizes = [parquet.read_metadata(folder / name).num_rows for name in names]
    assert sizes == [4, 4, 3, 1]
    assert list(shards) == evidence and len(shards) == 12
    assert shards[-1] == evidence[-1] and shards[2:9:3] == evidence[2:9:3]
    assert [shards[row] for row in (11, 0, 7, 3)] == [
        evidence[r] for r in (11, 0, 7, 3)
    ]
    with pytest.raises(IndexError):
        shards[12]
    assert shards.describe() is None and 'nodes=12' in repr(shards)


def test_the_options_of_evidence_are_stored(folder):
    data = SyntheticIntents(num_users=9, num_items=12)[0]
    evidence = choose_evidence(data, by='rare', source='profile_text', unsplit=True)
    save_evidence(folder, evidence)
    shards = EvidenceShards(folder)
    assert shards.describe() == evidence.describe()
    assert list(shards) == list(evidence)


def test_one_group_is_in_memory(folder, monkeypatch):
    save_evidence(folder, some_evidence(20), shard_size=8)
    shards, reads = EvidenceShards(folder), []
    read = shards._read_group
    monkeypatch.setattr(
        shards, '_read_group', lambda *group: reads.append(group) or read(*group)
    )
    list(shards)
    assert len(reads) == 5 and len(shards._group[1]) == 4
    assert len(shards._chunk[1]) <= 3


def test_files_from_other_tools(folder):
    folder.mkdir()
    table = pa.table(
        {'n': [1, 2], 'texts': [['a'], None], 'side': ['user'] * 2, 'id': ['x', 'y']}
    )
    parquet.write_table(table, folder / 'a.parquet')
    parquet.write_table(table.slice(0, 0), folder / 'b.parquet')
    assert list(EvidenceShards(folder)) == [
        Evidence('user', 'x', ('a',)),
        Evidence('user', 'y', ()),
    ]


def test_threads_may_read(folder):
    evidence = some_evidence(60)
    save_evidence(folder, evidence)
    shards, wrong = EvidenceShards(folder), []

    def read(start):
        wrong.extend(r for r in range(start, 60, 7) if shards[r] != evidence[r])

    threads = [threading.Thread(target=read, args=(k,)) for k in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_wrong_folders(folder):
    with pytest.raises(FileNotFoundError, match='create them with save_evidence'):
        EvidenceShards(folder)
    mixed = [Evidence('user', 1, ('x',)), Evidence('user', 'y', ('x',))]
    with pytest.raises(ValueError, match="ids of one type for 'user'"):
        save_evidence(folder, mixed)
    assert not folder.exists()
    save_evidence(folder, some_evidence(2))  # Despite leftover files.
    with pytest.raises(ValueError, match="'folder' must not exist"):
        save_evidence(folder, some_evidence(2))
    parquet.write_table(pa.table({'id': [1], 'side': ['user']}), folder / 'b.parquet')
    with pytest.raises(ValueError, match=r"b\.parquet must have .* no column 'texts'"):
        EvidenceShards(folder)
    (folder / 'b.parquet').write_text('x')
    with pytest.raises(ValueError, match=r'b\.parquet is not a Parquet file'):
        EvidenceShards(folder)


@pytest.mark.parametrize(
    ('column', 'values', 'message'),
    [
        ('texts', ['one', 'two'], "hold lists of strings .* 'texts', got string"),
        ('texts', [[1], [2]], "lists of strings in the column 'texts', got list<"),
        ('id', [1.0, None], "integers or strings in the column 'id', got double"),
        ('side', [1, 2], "must hold strings in the column 'side', got int64"),
        ('role', [['user'], None], "must hold strings in the column 'role', got list"),
        ('side', ['user', None], "row 6, must have a value .* 'side', got null"),
        ('id', [7, None], "row 6, must have a value in the column 'id', got null"),
        ('texts', [['a'], ['a', None]], 'row 6, must hold strings .* got null'),
        ('sources', [None, 'none'], "row 6, must hold JSON .* 'sources', got 'none'"),
        ('sources', [None, '[3]'], r"row 6, must hold JSON .* got '\[3\]'"),
        ('sources', [None, '3'], "row 6, must hold JSON .* got '3'"),
    ],
)
def test_wrong_columns_and_rows(folder, column, values, message):
    folder.mkdir()
    fine = {'side': ['user'] * 2, 'id': [0, 1], 'texts': [['a'], []]}
    with parquet.ParquetWriter(
        folder / 'a.parquet', pa.table(fine | {column: values}).schema
    ) as file:
        tables = [fine | {column: [values[0]] * 2}] * 2 + [fine | {column: values}]
        for table in tables:
            file.write_table(pa.table(table, file.schema))
    with pytest.raises(ValueError, match=r'a\.parquet(,| must) .*') as error:
        list(EvidenceShards(folder))
    assert re.search(message, str(error.value))


def test_other_types_of_strings_and_lists(folder):
    folder.mkdir()
    sides = pa.array(['user', 'user']).dictionary_encode()
    texts = pa.array([['a'], None], pa.large_list(pa.large_string()))
    ids = pa.array([1, 2], pa.uint32())
    table = pa.table({'side': sides, 'id': ids, 'texts': texts})
    table = table.append_column('role', pa.nulls(2)).append_column('n', pa.nulls(2))
    parquet.write_table(table, folder / 'a.parquet')
    assert list(EvidenceShards(folder)) == [
        Evidence('user', 1, ('a',)),
        Evidence('user', 2, ()),
    ]
