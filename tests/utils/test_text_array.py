from __future__ import annotations

import copy
import pickle
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.utils.select_rows import select_rows
from pyg_irllrec.utils.text_array import TextArray

TEXTS = ['Toy Story', '', 'Hæk', 'Jumanji']


@pytest.fixture
def mapped(tmp_path):
    """Texts in a memory-mapped file."""
    path = tmp_path / 'text.arrow'
    table = pa.table({'text': pa.array(TEXTS, pa.large_string())})
    with pa.OSFile(str(path), 'wb') as file:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    return TextArray(pa.ipc.open_file(pa.memory_map(str(path))).read_all()['text'])


def test_reads_rows(mapped):
    assert len(mapped) == 4 and list(mapped) == TEXTS
    assert [mapped[row] for row in (0, 2, -1, -4)] == [
        'Toy Story',
        'Hæk',
        'Jumanji',
        'Toy Story',
    ]
    assert mapped[torch.tensor(3)] == mapped[np.int64(3)] == 'Jumanji'
    assert repr(mapped) == 'TextArray(4)'
    for row in (4, -5):
        with pytest.raises(IndexError, match=f'row {row} is out of range for 4 texts'):
            mapped[row]
    with pytest.raises(TypeError):
        mapped['0']


@pytest.mark.parametrize(
    'values', [TEXTS, pa.array(TEXTS), pa.chunked_array([TEXTS[:1], TEXTS[1:]])]
)
def test_accepts_lists_and_arrow(values):
    assert list(TextArray(values)) == TEXTS
    assert list(TextArray(['a', None])) == ['a', ''] and TextArray([None])[0] == ''
    assert list(TextArray([])) == []


def test_take_selects_again_and_again(mapped):
    part = mapped.take(torch.tensor([3, 0, 0]))
    assert isinstance(part, TextArray) and list(part) == [TEXTS[3], TEXTS[0], TEXTS[0]]
    assert list(part.take(np.array([1, 0]))) == [TEXTS[0], TEXTS[3]]
    assert part[1] == TEXTS[0] and part[-1] == TEXTS[0]
    assert list(part.take([])) == [] and list(mapped) == TEXTS
    assert list(select_rows(mapped, torch.tensor([2]))) == ['Hæk']


def test_take_does_not_copy_texts():
    texts = TextArray(['x' * 1000] * 10_000)
    before = pa.total_allocated_bytes()
    part = texts.take(np.arange(9_999))
    assert pa.total_allocated_bytes() == before and len(part) == 9_999
    # Only the selected rows are pickled.
    assert len(pickle.dumps(texts.take([5, 6]))) < 5_000


def test_iteration_crosses_blocks():
    texts = [str(row) for row in range(10_000)]
    array = TextArray(texts)
    assert list(array) == texts
    assert list(array.take(np.arange(9_999, -1, -1))) == texts[::-1]


def test_pickle_and_copies(mapped):
    part = mapped.take([2, 0])
    for array in (mapped, part):
        assert list(pickle.loads(pickle.dumps(array))) == list(array)
        assert copy.copy(array) is array and copy.deepcopy(array) is array


def test_pyg_moves_and_copies_it_as_a_whole(mapped):
    data = HeteroData()
    data['item'].num_nodes, data['item'].x = 4, torch.zeros(4, 2)
    data['item'].text = mapped
    for other in (data.to('cpu'), data.clone(), copy.copy(data), copy.deepcopy(data)):
        assert other['item'].text is mapped
    assert 'text=TextArray(4)' in repr(data) and data.validate()


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ('abc', 'must be a list of texts, got a single text'),
        ([1, 2], "'values' must hold texts"),
        (pa.array([1]), "'values' must hold texts, got int64"),
        (7, "'values' must hold texts"),
    ],
)
def test_rejects_other_values(values, message):
    with pytest.raises(ValueError, match=message):
        TextArray(values)


@pytest.mark.parametrize(
    ('index', 'message'),
    [
        ([4], 'must hold rows from 0 to 3, got rows from 4 to 4'),
        ([0, -1], 'got rows from -1 to 0'),
        ([[0]], 'must be a vector of integers'),
        ([True, False, True, True], 'must be a vector of integers, got bool'),
    ],
)
def test_take_rejects_wrong_rows(mapped, index, message):
    with pytest.raises(ValueError, match=message):
        mapped.take(index)


def test_needs_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pyarrow', None)
    with pytest.raises(ImportError, match=r"needs pyarrow.*'pyg_irllrec\[data\]'"):
        TextArray(['a'])


def test_several_rows_at_once():
    texts = TextArray(['a', 'b', 'c', 'd'])
    for index in (slice(1, 3), [1, 2], np.array([1, 2]), torch.tensor([1, 2])):
        assert list(texts[index]) == ['b', 'c']
    assert texts[torch.tensor(1)] == texts[np.int64(1)] == 'b'
