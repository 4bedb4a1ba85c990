from __future__ import annotations

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


def test_what_is_saved_is_read(folder):
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


def test_how_evidence_was_chosen_is_kept(folder):
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


def test_files_of_others(folder):
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
    with pytest.raises(FileNotFoundError, match='write them with save_evidence'):
        EvidenceShards(folder)
    mixed = [Evidence('user', 1, ('x',)), Evidence('user', 'y', ('x',))]
    with pytest.raises(ValueError, match="ids of one type for 'user'"):
        save_evidence(folder, mixed)
    assert not folder.exists()
    save_evidence(folder, some_evidence(2))  # In spite of what was left.
    with pytest.raises(ValueError, match="'folder' must not exist yet"):
        save_evidence(folder, some_evidence(2))
    parquet.write_table(pa.table({'id': [1], 'side': ['user']}), folder / 'b.parquet')
    with pytest.raises(ValueError, match=r"b\.parquet must have .* named 'texts'"):
        EvidenceShards(folder)
    (folder / 'b.parquet').write_text('x')
    with pytest.raises(ValueError, match=r'b\.parquet is no Parquet file'):
        EvidenceShards(folder)
