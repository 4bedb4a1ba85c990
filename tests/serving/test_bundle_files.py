from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch

from pyg_irllrec.serving import _bundle_files as files
from pyg_irllrec.utils.files import WriteError


def test_tensors_are_read_into_memory(tmp_path):
    x = torch.arange(6.0).view(2, 3)
    tensors = {'x': x, 'same': x, 'row': x[1], 'no': torch.empty(0, 2), 'one': x.sum()}
    record = files.write_tensors(tmp_path, 'model', tensors)
    path = files.check_file(tmp_path, record)
    found = files.read_tensors(path)
    path.write_bytes(b'')  # The tensors do not depend on the file.
    for name, value in tensors.items():
        assert torch.equal(found[name], value) and found[name].dtype == value.dtype


def test_shapes_of_tensors(tmp_path):
    record = files.write_tensors(tmp_path, 'model', {'x': torch.zeros(2, 3)})
    assert files.tensor_shapes(tmp_path / record['name']) == {'x': (2, 3)}


@pytest.mark.parametrize(
    'ids',
    [[3, 1, -(2**63)], ['a', 'ü', ''], [7, 'x', True], [2**70, 1, 2]],
)
def test_ids_and_texts(ids, tmp_path):
    columns = {'id': ids, 'title': ['one\n', '', '"three"']}
    record = files.write_table(tmp_path, 'items', columns)
    found = files.read_table(tmp_path / record['name'], 3)
    assert found['title'] == columns['title']
    integers = all(type(each) is int and each < 2**63 for each in ids)
    assert found['id'] == (ids if integers else [str(each) for each in ids])


def test_names_of_files_outside_a_bundle(tmp_path):
    record = files.write_tensors(tmp_path, 'model', {'x': torch.zeros(2)})
    for name in ('../model', '/etc/passwd', 'README.md'):
        with pytest.raises(ValueError, match='has a name that no bundle uses'):
            files.check_file(tmp_path, record | {'name': name})


@pytest.mark.parametrize(
    ('field', 'values'),
    [
        (pa.field('id', pa.int64()), [1, 2]),
        (pa.field('id', pa.float64(), nullable=False), [1.0, 2.0]),
        (pa.field('id', pa.list_(pa.int64()), nullable=False), [[1], [2]]),
    ],
)
def test_columns_of_other_types(field, values, tmp_path):
    table = pa.table([pa.array(values, field.type)], schema=pa.schema([field]))
    parquet.write_table(table, tmp_path / 'x', compression='none', use_dictionary=False)
    with pytest.raises(ValueError, match='x has id as'):
        files.read_table(tmp_path / 'x', 2)


def test_a_compressed_column(tmp_path):
    field = pa.field('id', pa.string(), nullable=False)
    table = pa.table([pa.array(['x' * 1000] * 1000)], schema=pa.schema([field]))
    parquet.write_table(table, tmp_path / 'x', compression='none')
    assert (tmp_path / 'x').stat().st_size < 50_000
    with pytest.raises(ValueError, match='x is compressed'):
        files.read_table(tmp_path / 'x', 1000)


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(WriteError, match='No space left'):
        files.write_tensors(tmp_path, 'model', {'x': torch.zeros(2)})
    assert not list(tmp_path.iterdir())
