from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet
import pytest

from pyg_irllrec.datasets.interaction_dataset import InteractionDataset
from tests.datasets.doors import content

COLUMNS = {'user': 'who', 'item': 'what'}


@pytest.fixture
def folder(tmp_path):
    """Three days of interactions, as Spark writes them."""
    parts = {
        'day=1/part-0.snappy.parquet': {'who': ['b', 'a'], 'what': [1, 2]},
        'day=1/part-1.snappy.parquet': {'who': ['c'], 'what': [3]},
        'day=2/part-0.snappy.parquet': {'who': ['a'], 'what': [3]},
    }
    for name, columns in parts.items():
        write(tmp_path / 'plays' / name, columns)
    empty = {'who': pa.array([], pa.string()), 'what': pa.array([], pa.int64())}
    write(tmp_path / 'plays' / 'day=3' / 'part-0.parquet', empty)
    (tmp_path / 'plays' / '_SUCCESS').touch()
    (tmp_path / 'plays' / 'day=1' / '.part-0.snappy.parquet.crc').write_bytes(b'crc')
    return tmp_path / 'plays'


def write(path, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(pa.table(columns), path)


def read(path, root, **options):
    return InteractionDataset.from_parquet(path, root, **COLUMNS, **options)


def test_all_files_in_the_order_of_their_paths(folder, tmp_path):
    dataset = read(folder, tmp_path / '1', timestamp='day')
    files = sorted(folder.rglob('*.parquet'))[:3]
    found = content(dataset)
    assert found['user'] == ['a', 'b', 'c'] and found['item'] == [1, 2, 3]
    assert found['edge_index'] == [[0, 0, 1, 2], [1, 2, 0, 2]]
    assert found['time'] == [1, 2, 1, 1]
    same = content(read(files, tmp_path / '2'))
    assert {**same, 'time': None, 'unit': None} == {
        **found,
        'time': None,
        'unit': None,
    }


def test_a_column_of_folders_may_be_an_id(folder, tmp_path):
    dataset = InteractionDataset.from_parquet(
        folder, tmp_path / 'root', user='who', item='day'
    )
    assert dataset.item_ids.tolist() == [1, 2] and dataset.counts['rows'] == 4


def test_a_folder_of_texts(folder, tmp_path):
    write(tmp_path / 'items' / '0.parquet', {'what': [1, 3], 'title': ['A', 'C']})
    write(tmp_path / 'items' / '1.parquet', {'what': ['2'], 'title': ['B']})
    dataset = read(
        folder, tmp_path / 'root', items=tmp_path / 'items', item_text='title'
    )
    assert list(dataset[0]['item'].text) == ['A', 'B', 'C']


def test_moved_files_are_other_data(folder, tmp_path):
    first = read(folder, tmp_path / 'root', timestamp='day')
    again = read(folder, tmp_path / 'root', timestamp='day')
    assert content(again) == content(first)
    (folder / 'day=2').rename(folder / 'day=20')  # In the same position.
    with pytest.raises(ValueError, match=r'built from other data \(plays\)'):
        read(folder, tmp_path / 'root', timestamp='day')


def test_bad_values_are_named_with_file_and_row(folder, tmp_path):
    wrong = folder / 'day=2' / 'part-1.parquet'
    write(wrong, {'who': ['a', None], 'what': [3, 4]})
    with pytest.raises(
        ValueError, match=r"plays, day=2.part-1.parquet, row 1: column 'who' lacks"
    ):
        read(folder, tmp_path / 'root')
    write(wrong, {'who': ['a', ' '], 'what': [3, 4]})  # Found only after all are read.
    with pytest.raises(ValueError, match=r'part-1.parquet, row 1: .* lacks'):
        read(folder, tmp_path / 'root')
    write(wrong, {'who': ['a'], 'item': [3]})
    with pytest.raises(ValueError, match=r"part-1.parquet must have one column 'what'"):
        read(folder, tmp_path / 'root')
    wrong.write_bytes(b'PAR1 but no more')
    with pytest.raises(ValueError, match=r'part-1.parquet is not a Parquet file'):
        read(folder, tmp_path / 'root')
    assert not (tmp_path / 'root').exists()


def test_folders_without_interactions(tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='empty must hold Parquet files, got none'):
        read(tmp_path / 'empty', tmp_path / 'root')
    empty = {'who': pa.array([], pa.string()), 'what': pa.array([], pa.int64())}
    write(tmp_path / 'rows' / '0.parquet', empty)
    with pytest.raises(ValueError, match='rows must hold interactions, got no rows'):
        read(tmp_path / 'rows', tmp_path / 'root')
