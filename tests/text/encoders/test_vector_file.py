from __future__ import annotations

import errno
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyg_irllrec.text import TfidfEncoder, load_vectors, save_vectors
from pyg_irllrec.text.encoders import vector_file
from pyg_irllrec.utils.clean_id import clean_id, id_fault
from tests.conftest import SHARED

IDS = [30, -1, 7, 2**40]
DESCRIBE = {'encoder': 'mine', 'model': 'm', 'sizes': (1, 2)}


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


@pytest.fixture
def path(tmp_path, vectors):
    path = tmp_path / 'vectors.npz'
    save_vectors(path, vectors, IDS, DESCRIBE)
    return path


def test_rows_are_found_by_id(path, vectors):
    found = load_vectors(path, [7, 30, 7])
    np.testing.assert_array_equal(found.vectors, vectors[[2, 0, 2]])
    assert found.vectors.dtype == np.float32
    assert found.ids.tolist() == [7, 30, 7]
    every = load_vectors(str(path))
    np.testing.assert_array_equal(every.vectors, vectors)
    assert every.ids.tolist() == IDS and every.ids.dtype == np.int64


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_ids_in_any_order(data, tmp_path_factory):
    kind = data.draw(
        st.sampled_from(
            [
                st.integers(-(2**63), 2**63 - 1),
                st.text(st.characters(exclude_categories=['Cs']), max_size=5)
                .map(clean_id)
                .filter(lambda text: id_fault(text) is None),
            ]
        )
    )
    ids = data.draw(st.lists(kind, min_size=1, max_size=30, unique=True))
    wanted = data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=30))
    vectors = np.arange(2 * len(ids), dtype=np.float32).reshape(-1, 2)
    path = tmp_path_factory.mktemp('any') / 'vectors.npz'
    save_vectors(path, vectors, ids, {})
    found = load_vectors(path, wanted)
    assert list(map(str, found.ids.tolist())) == list(map(str, wanted))
    np.testing.assert_array_equal(
        found.vectors, vectors[[ids.index(each) for each in wanted]]
    )


def test_read_block_by_block(path, vectors, monkeypatch):
    monkeypatch.setattr(vector_file, '_BLOCK_BYTES', 1)
    found = load_vectors(path, [7, 30, 7, -1]).vectors
    np.testing.assert_array_equal(found, vectors[[2, 0, 2, 1]])


@pytest.mark.parametrize(
    ('stored', 'wanted'),
    [
        (torch.tensor([5, 6]), torch.tensor([6])),
        (np.array([5, 6], np.uint16), np.array([6], np.int32)),
        (('a', 'bcd'), ['bcd']),
        ([5, 6], ['6']),
        ([5, 6], [' 6.0 ']),
        (['5', '6'], [6]),
        (['5.0', '6.00'], np.array([6.0])),
        (['x', '6'], [6]),
        (['x', 6], torch.tensor([6])),
        ([5.0, 6.0], [6]),
        (torch.tensor([5.0, 6.0]), ['6']),
        ([5, 2**64], [2**64]),
        (np.array([5, 2**63], np.uint64), [f'{2**63}']),
        ([2**63 - 1, -(2**63)], [f'{-(2**63)}']),
        (['a', 'e\u0301'], ['é']),
        (pd.Series(['a', 'bcd']), pd.Series(['bcd'])),
        (np.array(['a', 'bcd'], object), np.array(['bcd'])),
    ],
)
def test_ids_of_every_kind(tmp_path, stored, wanted):
    path = tmp_path / 'vectors.npz'
    save_vectors(path, torch.tensor([[0.0], [1.0]]), stored, {})
    assert load_vectors(path, wanted).vectors.tolist() == [[1]]


def test_half_precision_stays_on_disk(tmp_path, vectors):
    path = tmp_path / 'vectors.npz'
    save_vectors(path, torch.from_numpy(vectors).half(), IDS, {})
    with np.load(path) as archive:
        assert archive['embedding'].dtype == np.float16
    found = load_vectors(path).vectors
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, vectors.astype(np.float16))


def test_a_matrix_in_column_order(tmp_path, vectors):
    path = tmp_path / 'vectors.npz'
    save_vectors(path, np.asfortranarray(vectors), IDS, {})
    np.testing.assert_array_equal(load_vectors(path).vectors, vectors)


def test_a_file_in_column_order(path, vectors):
    rewrite(path, embedding=np.asfortranarray(vectors), record=None)
    np.testing.assert_array_equal(load_vectors(path).vectors, vectors)
    found = load_vectors(path, [7, 8, 30, 7], missing='zeros').vectors
    expected = [vectors[2], 0 * vectors[0], vectors[0], vectors[2]]
    np.testing.assert_array_equal(found, expected)
    content = path.read_bytes()
    column = vectors[:, 1].tobytes()
    assert content.count(column) == 1
    path.write_bytes(content.replace(column, vectors[:, 0].tobytes()))
    with pytest.raises(ValueError, match='or it is damaged: Bad CRC-32'):
        load_vectors(path)


def test_bfloat16_becomes_float32(path):
    vectors = torch.tensor([[1.0], [0.1], [-3.0], [2e30]]).bfloat16()
    save_vectors(path, vectors, IDS, {})
    np.testing.assert_array_equal(load_vectors(path).vectors, vectors.float().numpy())


def test_no_requested_ids(path):
    found = load_vectors(path, [])
    assert found.vectors.shape == (0, 3) and found.ids.tolist() == []


@pytest.mark.parametrize('expect', [['a'], 'a', 5])
def test_wrong_types_of_expect(path, expect):
    with pytest.raises(ValueError, match="'expect' must be a dict, got"):
        load_vectors(path, expect=expect)


@pytest.mark.parametrize('wrong', [None, 5, ''])
def test_wrong_paths(wrong, vectors):
    with pytest.raises(ValueError, match="'path' must be a path"):
        save_vectors(wrong, vectors, IDS, {})
    with pytest.raises(ValueError, match="'path' must be a path"):
        load_vectors(wrong)


def test_the_record(path):
    record = load_vectors(path, [7]).record
    assert record['encoder'] == 'mine' and record['sizes'] == [1, 2]
    assert record['dimension'] == 3 and record['count'] == 4
    assert record['date'].startswith('20') and len(record['ids_sha256']) == 64
    with np.load(path) as archive:  # Plain NumPy can read the file.
        assert json.loads(str(archive['record'])) == record
    save_vectors(path, np.ones((1, 3), np.float32), ['a'], record)
    again = load_vectors(path).record
    assert again['count'] == 1 and again['ids_sha256'] != record['ids_sha256']


def test_the_description_of_an_encoder(path, vectors):
    described = TfidfEncoder(3).describe()
    save_vectors(path, vectors, IDS, described)
    load_vectors(path, expect=described | {'dimension': 3})


@pytest.mark.parametrize(
    ('expect', 'message'),
    [
        ({'encoder': 'mine', 'sizes': (1, 2), 'dimension': 3}, None),
        ({'model': 'other'}, 'npz, which has model = "m", not "other"'),
        ({'dimension': 4}, 'dimension = 3, not 4'),
        ({'language': 'en'}, 'language = null, not "en"'),
        ({'model': {1, 2}}, "'expect' must hold JSON values"),
    ],
)
def test_expected_fields(path, expect, message):
    if message is None:
        load_vectors(path, expect=expect)
    else:
        with pytest.raises(ValueError, match=message):
            load_vectors(path, expect=expect)


def test_missing_ids(path, vectors):
    with pytest.raises(
        ValueError, match=r'got 2 of 3 that are not \(first: 8\): pass missing='
    ):
        load_vectors(path, [30, 8, 2**50])
    found = load_vectors(path, [8, 30, 2**50], missing='zeros').vectors
    np.testing.assert_array_equal(found, np.stack([0 * vectors[0], vectors[0]] * 2)[:3])
    with pytest.raises(ValueError, match="'missing' must be one of 'error', 'zeros'"):
        load_vectors(path, [30], missing='nan')
    for ids in (['x', '30'], ['x', 30], ['x', ' 30.0']):
        found = load_vectors(path, ids, missing='zeros').vectors
        np.testing.assert_array_equal(found, [0 * vectors[0], vectors[0]])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'path': 'vectors.npy'}, r"'path' must end in \.npz, got .*vectors\.npy"),
        ({'vectors': np.ones((4, 3))}, 'must be float32 or float16, got float64'),
        ({'vectors': np.ones((3, 3), np.float32)}, r'4 rows, got shape \(3, 3\)'),
        ({'vectors': np.ones(4, np.float32)}, r'4 rows, got shape \(4,\)'),
        ({'vectors': np.ones((4, 0), np.float32)}, r'4 rows, got shape \(4, 0\)'),
        ({'vectors': np.float32([[1], [2], [np.nan], [np.inf]])}, r'2 of 4.*id 7\)'),
        ({'ids': [1, 2, 1, 3]}, "'ids' must be distinct, got 1 2 times"),
        ({'ids': ['7', 7.0, 'b', 'c']}, "'ids' must be distinct, got '7' 2 times"),
        ({'ids': [' 7', '7.0', 8, 9]}, "'ids' must be distinct, got 7 2 times"),
        ({'ids': ['a', ' a\0', 'b', 'c']}, r"must be distinct, got 'a' 2 times"),
        ({'ids': ['a', ' ', 'b', 'c']}, 'row 1: lacks an id'),
        ({'ids': ['a', 'b', 'c', '\ud800']}, 'row 3: holds half a surrogate pair'),
        ({'ids': np.array(['a', None, 'b', 'c'], object)}, 'row 1: lacks an id'),
        ({'ids': np.array(['a', np.nan, 'b', 'c'], object)}, 'row 1: lacks an id'),
        ({'ids': ['a', 'NULL', 'b', 'c']}, 'row 1: lacks an id'),
        ({'ids': ['a', 'b', ' nan ', 'c']}, 'row 2: lacks an id'),
        ({'ids': ['a', 'b', 'c\nd', 'e']}, 'row 2: holds an id with a line break'),
        ({'ids': [1, 2, 3, 2.0**53]}, 'row 3: .*lost digits'),
        ({'ids': ['1', '2', '3', '9.7E+12']}, 'row 3: .*lost digits'),
        ({'ids': np.array([1, 2, 3, 2**24], np.float32)}, 'row 3: .*lost digits'),
        ({'ids': torch.tensor([1, 2, 3, 4]).bfloat16()}, 'dense tensor of integers'),
        ({'ids': torch.tensor([1, 2, 3, 4]).to_sparse()}, 'dense tensor of integers'),
        ({'ids': [1, 2, 3, 1.5]}, 'row 3: must hold integers or strings, got 1.5'),
        ({'ids': [1, 2, 3, np.inf]}, 'row 3: must hold integers or strings, got inf'),
        ({'ids': [1, 2, 3, True]}, 'row 3: must hold integers or strings, got bool'),
        ({'ids': [True, 2.0, 3, 4]}, 'row 0: must hold integers or strings, got bool'),
        ({'ids': [b'1', 2, 3, 4]}, 'row 0: must hold integers or strings, got bytes'),
        ({'ids': [[1], [2, 3], [4], [5]]}, 'row 0: .* strings, got list'),
        ({'ids': np.ones((4, 1), int)}, r"'ids' must be a vector, got shape \(4, 1\)"),
        ({'ids': [1, None, 2, 3]}, 'row 1: lacks an id'),
        ({'ids': []}, "'ids' must hold at least one id"),
        ({'ids': None}, "'ids' must be a list of ids, .* got NoneType"),
        ({'ids': 'abcd'}, "'ids' must be a list of ids, .* got str"),
        ({'ids': {1, 2, 3, 4}}, "'ids' must be a list of ids, .* got set"),
        ({'ids': torch.tensor(1)}, "'ids' must be a list of ids, .* got ndarray"),
        ({'vectors': [[1.0]] * 4}, "'vectors' must be an array or .* got list"),
        ({'vectors': torch.ones(4, 1).to(torch.float8_e5m2)}, 'got torch.float8'),
        ({'vectors': None}, "'vectors' must be an array or .* got NoneType"),
        ({'vectors': torch.eye(4).to_sparse()}, 'a dense tensor .* got .*torch.sparse'),
        ({'vectors': np.ones((4, 1), complex)}, 'float32 or float16, got complex'),
        ({'description': None}, "'description' must be a dict, got NoneType"),
        ({'description': ['a']}, "'description' must be a dict, got list"),
        ({'description': {'dimension': 5}}, "'description' must have the dimension"),
        ({'description': {'encoder': print}}, "'description' must hold JSON values"),
        ({'description': {'loss': np.nan}}, "'description' must hold JSON values"),
    ],
)
def test_invalid_input_is_not_saved(tmp_path, vectors, change, message):
    path = tmp_path / change.pop('path', 'vectors.npz')
    arguments = {'vectors': vectors, 'ids': IDS, 'description': {}} | change
    with pytest.raises(ValueError, match=message):
        save_vectors(path, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up(path, vectors, monkeypatch):
    save = np.savez

    def half(file, **arrays):
        save(file, **arrays)
        file.truncate(file.tell() // 2)
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(np, 'savez', half)
    with pytest.raises(OSError, match='No space left'):
        save_vectors(path, 2 * vectors, IDS, {})
    with pytest.raises(OSError, match='No space left'):
        save_vectors(path.with_name('new.npz'), vectors, IDS, {})
    assert [file.name for file in path.parent.iterdir()] == ['vectors.npz']
    np.testing.assert_array_equal(load_vectors(path).vectors, vectors)


def test_a_truncated_file_is_detected(path):
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match='or it is damaged'):
            load_vectors(path)


def test_a_changed_vector_is_detected(path, vectors):
    content, row = path.read_bytes(), vectors[1].tobytes()
    assert content.count(row) == 1
    path.write_bytes(content.replace(row, vectors[0].tobytes()))
    with pytest.raises(ValueError, match='or it is damaged: Bad CRC-32'):
        load_vectors(path, [30])


def rewrite(path, **arrays):
    with np.load(path) as archive:
        arrays = dict(archive) | arrays
    np.savez(
        path, **{name: value for name, value in arrays.items() if value is not None}
    )


@pytest.mark.parametrize(
    ('arrays', 'message'),
    [
        ({'ids': np.array([30, -1, 7, 8])}, 'the ids do not match'),
        ({'ids': None}, "no item named 'ids.npy'"),
        ({'embedding': None}, "no item named 'embedding.npy'"),
        ({'ids': np.arange(3), 'record': None}, 'there are 3 ids, but 4 vectors'),
        ({'ids': np.ones(4, int), 'record': None}, 'must be distinct'),
        ({'ids': np.ones(4), 'record': None}, 'must be distinct, got 1 4 times'),
        ({'ids': np.arange(4) + 0.5, 'record': None}, 'row 0: must hold integers'),
        ({'ids': np.array([b'a'] * 4), 'record': None}, 'got bytes'),
        ({'ids': np.array([print] * 4), 'record': None}, 'no Python objects'),
        ({'embedding': np.array([[print]] * 4)}, 'no Python objects'),
        ({'embedding': np.ones((4, 3), int)}, 'matrix of floating-point numbers'),
        ({'embedding': np.ones(4)}, 'matrix of floating-point numbers'),
        ({'embedding': np.ones((4, 0))}, 'at least one column'),
        ({'embedding': np.ones((4, 1), complex)}, 'matrix of floating-point numbers'),
        ({'ids': np.array(['a', 'b', 'a ', 'c']), 'record': None}, 'must be distinct'),
        ({'record': np.array('{')}, 'or it is damaged: Expecting'),
        ({'record': np.array('null')}, r'or it is damaged: .* got null'),
        ({'record': np.array('[1]')}, r'or it is damaged: .* got a list'),
        ({'record': np.array('{"a":' * 10**5)}, r'or it is damaged: .* too deeply'),
    ],
)
def test_a_file_with_other_content(path, arrays, message):
    rewrite(path, **arrays)
    with pytest.raises(ValueError, match=message):
        load_vectors(path)


def test_files_from_other_tools(path, vectors):
    rewrite(path, record=None, embedding=vectors.astype(np.float64))
    found = load_vectors(path, [7], expect={'dimension': 3})
    np.testing.assert_array_equal(found.vectors, vectors[[2]])
    assert found.record == {'dimension': 3, 'count': 4}
    with pytest.raises(ValueError, match='model = null'):
        load_vectors(path, expect={'model': 'm'})
    np.savez_compressed(path, ids=np.array(IDS), embedding=vectors)
    np.testing.assert_array_equal(load_vectors(path, [7]).vectors, vectors[[2]])
    vectors[2, 0] = np.nan
    np.savez(path, ids=np.array(IDS), embedding=vectors)
    load_vectors(path, [30])
    with pytest.raises(ValueError, match=r'must be finite, got NaN .*\(first: id 7\)'):
        load_vectors(path, [30, 7])


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no\.npz does not exist'):
        load_vectors(tmp_path / 'no.npz')
    (tmp_path / 'text.npz').write_text('not a zip file')
    with pytest.raises(ValueError, match='or it is damaged: File is not a zip file'):
        load_vectors(tmp_path / 'text.npz')
    with zipfile.ZipFile(tmp_path / 'text.npz', 'w') as archive:
        archive.writestr('ids.npy', 'not an array')
    with pytest.raises(ValueError, match='or it is damaged'):
        load_vectors(tmp_path / 'text.npz')


def test_the_vectors_of_movielens():
    path = SHARED / 'data' / 'ml-latest-small' / 'minilm_item.npz'
    if not path.is_file():
        pytest.skip('the real data is not here')
    with np.load(path) as archive:
        ids, embedding = archive['ids'], archive['embedding']
    found = load_vectors(path, torch.from_numpy(ids).flip(0), {'dimension': 384})
    np.testing.assert_array_equal(found.vectors, embedding[::-1])


def test_ids_of_a_table_match_ids_with_blanks(tmp_path):
    path = tmp_path / 'vectors.npz'
    np.savez(path, ids=np.array(['a ', '\tb']), embedding=np.eye(2))
    found = load_vectors(path, ['b', ' a'])
    assert found.ids.tolist() == ['b', 'a']
    np.testing.assert_array_equal(found.vectors, np.eye(2)[::-1])


def header(shape, dtype='<f4'):
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + '\n'
    return b'\x93NUMPY\x01\x00' + len(text).to_bytes(2, 'little') + text.encode()


CLAIMS = {
    'numbers': ((10**15, 3), '<f4'),
    'columns': ((4, 10**11), '<f4'),
    'rows of nothing': ((10**11, 0), '<f4'),
    'rows and columns below zero': ((-4, -3), '<f4'),
    'one dimension less': ((12,), '<f4'),
    'texts without letters': ((10**11, 3), '<U0'),
    'fewer numbers': ((2, 3), '<f4'),
}


@pytest.mark.parametrize('name', CLAIMS)
@pytest.mark.parametrize('array', ['ids', 'embedding'])
@pytest.mark.parametrize('method', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_is_compared_with_the_bytes(tmp_path, name, array, method):
    path = tmp_path / 'vectors.npz'
    np.savez(path, ids=np.arange(4), embedding=np.ones((4, 3), np.float32))
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    members[f'{array}.npy'] = header(*CLAIMS[name]) + bytes(48)
    with zipfile.ZipFile(path, 'w', method) as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    with pytest.raises(ValueError, match=r'vectors\.npz must be .* or it is damaged'):
        load_vectors(path)


def test_zip_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_file, '_MAX_UNPACKED_BYTES', 10**5)
    path = tmp_path / 'vectors.npz'
    np.savez_compressed(path, ids=np.arange(10), embedding=np.zeros((10, 2500)))
    with pytest.raises(ValueError, match=r'embedding\.npy claims to decompress'):
        load_vectors(path)
    np.savez_compressed(path, ids=np.arange(10), embedding=np.zeros((10, 1000)))
    assert not load_vectors(path).vectors.any()
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        with zipfile.ZipFile(path, 'w', method) as archive:
            archive.writestr('ids.npy', header((2,), '<i8') + bytes(16))
        with pytest.raises(ValueError, match='has an unknown compression method'):
            load_vectors(path)


def test_numbers_beyond_float32(tmp_path, recwarn):
    path = tmp_path / 'vectors.npz'
    np.savez(path, ids=np.array([7]), embedding=np.array([[1e300]]))
    with pytest.raises(ValueError, match=r'must be finite, .* \(first: id 7\)'):
        load_vectors(path)
    assert not recwarn


def test_no_escape_sequence_reaches_the_terminal(tmp_path):
    path = tmp_path / 'a\x1b[2J.npz'
    np.savez(path, ids=np.array(['\x1b[31m', 'b']), embedding=np.full((2, 1), np.nan))
    for ids in (None, ['\x1b[32m']):
        with pytest.raises(ValueError) as caught:
            load_vectors(path, ids)
        assert str(caught.value).isprintable()
