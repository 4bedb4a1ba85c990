from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.datasets._ingest.store import file_digest

FRAME = {'u': ['a', 'b', 'c'], 'i': ['x', 'y', 'z'], 'r': [1.0, 2.0, 3.0]}


@pytest.fixture
def folder(tmp_path):
    InteractionDataset.from_frame(FRAME, tmp_path, user='u', item='i', rating='r')
    return tmp_path / 'processed'


def seal(folder):
    """Update the sizes and checksums of the files in the manifest."""
    path = folder / 'manifest.json'
    manifest = json.loads(path.read_text())
    manifest['files'] = {name: file_digest(folder / name) for name in manifest['files']}
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ('name', 'array', 'message'),
    [
        ('edge_index', np.zeros((3, 2), np.int64), r'int64 of shape \(2, 3\)'),
        ('edge_index', np.zeros((2, 3), np.int32), 'must hold int64'),
        ('edge_index', np.array([[0, 1, 3], [0, 1, 2]]), 'users from 0 to 2, got 0 to'),
        ('edge_index', np.array([[0, 1, 2], [0, 1, -1]]), 'items from 0 to 2, got -1'),
        ('rating', np.zeros(2, np.float32), r'float32 of shape \(3,\)'),
        ('rating', np.zeros(3), 'must hold float32'),
        ('rating', np.array([None] * 3), 'Python objects'),
    ],
)
def test_wrong_arrays(folder, name, array, message):
    np.save(folder / f'{name}.npy', array)
    seal(folder)
    with pytest.raises(ValueError, match=rf'processed is damaged: .*{message}'):
        InteractionDataset(folder.parent)


@pytest.mark.parametrize(
    'name', ['edge_index.npy', 'rating.npy', 'user.arrow', 'item.arrow']
)
def test_a_flipped_bit(folder, name):
    path = folder / name
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        byte = bytes([content[place] ^ 1])
        path.write_bytes(content[:place] + byte + content[place + 1 :])
        with pytest.raises(ValueError, match=f'{name} is missing or damaged'):
            InteractionDataset(folder.parent)


def test_an_array_that_claims_more_than_it_holds(folder):
    path = folder / 'rating.npy'
    path.write_bytes(path.read_bytes().replace(b'(3,)', b'(999999999999,)'))
    seal(folder)
    with pytest.raises(ValueError, match='processed is damaged'):
        InteractionDataset(folder.parent)


def test_swapped_tables(folder):
    (folder / 'user.arrow').rename(folder / 'other')
    (folder / 'item.arrow').rename(folder / 'user.arrow')
    (folder / 'other').rename(folder / 'item.arrow')
    seal(folder)
    with pytest.raises(ValueError, match=r'damaged: user\.arrow must hold 3 users'):
        InteractionDataset(folder.parent)


@pytest.mark.parametrize(
    'columns',
    [
        {'id': pa.array(['a', 'b'], pa.large_string())},
        {'id': pa.array(['a', 'b', None], pa.large_string())},
        {'id': pa.array([0.5, 1, 2])},
        {'name': pa.array(['a', 'b', 'c'], pa.large_string())},
        {
            'id': pa.array(['a', 'b', 'c'], pa.large_string()),
            'text': pa.array([1, 2, 3]),
        },
    ],
)
def test_wrong_tables(folder, columns):
    batch = pa.record_batch(columns).replace_schema_metadata({'side': 'user'})
    with pa.ipc.new_file(str(folder / 'user.arrow'), batch.schema) as writer:
        writer.write_batch(batch)
    seal(folder)
    with pytest.raises(ValueError, match=r'damaged: user\.arrow must hold 3 users'):
        InteractionDataset(folder.parent)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'files': None}, "lacks 'files'"),
        ({'counts': [1]}, "lacks 'counts'"),
        ({'counts': {'users': 3}}, "'counts' must have users, items and interactions"),
        ({'counts': {'users': -1, 'items': 3, 'interactions': 3}}, 'must hold counts'),
        (
            {'files': dict.fromkeys(['edge_index.npy', 'user.arrow', 'item.arrow'], 1)},
            "'files' must hold sizes and checksums, got 1",
        ),
        ({'files': {}}, "'files' must name the files of a dataset"),
        ({'files': {'../../x': [3, 3]}}, "'files' must name the files of a dataset"),
        ({'version': 9}, 'must be of version 2, got 9'),
    ],
)
def test_manifests_of_other_values(folder, change, message):
    path = folder / 'manifest.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        InteractionDataset(folder.parent)


@pytest.mark.parametrize(
    'text', ['null', '[1]', '', '{"a": NaN}', '{"a": 1, "a": 2}', '{"a":' * 10**5]
)
def test_invalid_manifests(folder, text):
    (folder / 'manifest.json').write_text(text)
    with pytest.raises(ValueError, match=r'manifest\.json is damaged'):
        InteractionDataset(folder.parent)
