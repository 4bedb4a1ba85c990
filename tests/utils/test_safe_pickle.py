from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import scipy.sparse

from pyg_irllrec.utils.safe_pickle import load_pickled_array


class Malicious:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


LAYOUTS = [
    f'{layout}_{kind}'
    for layout in ('coo', 'csr', 'csc', 'bsr', 'dia', 'lil', 'dok')
    for kind in ('matrix', 'array')
]


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize('layout', LAYOUTS)
def test_reads_matrices(tmp_path, layout, protocol):
    matrix = scipy.sparse.random(5, 4, density=0.5, random_state=0)
    path = tmp_path / 'matrix.pkl'
    for value in (matrix, matrix > 0, scipy.sparse.coo_matrix((3, 4))):
        value = getattr(scipy.sparse, layout)(value)
        path.write_bytes(pickle.dumps(value, protocol))
        loaded = load_pickled_array(path)
        assert type(loaded) is type(value) and loaded.dtype == value.dtype
        assert (loaded.toarray() == value.toarray()).all()


@pytest.mark.parametrize('shape', [(0, 4), (3, 0)])
@pytest.mark.parametrize('layout', ['coo', 'csr', 'lil'])
def test_reads_matrices_without_rows_or_columns(tmp_path, layout, shape):
    path = tmp_path / 'matrix.pkl'
    value = scipy.sparse.coo_matrix(shape).asformat(layout)
    path.write_bytes(pickle.dumps(value))
    assert load_pickled_array(path).shape == shape


def old_dok(keys, values, shape):
    """A pickle of a dok_matrix as a dictionary, as written by scipy up to 1.11."""
    entries = b''.join(
        b'(I%d\nI%d\ntF%r\ns' % (*key, value) for key, value in zip(keys, values)
    )
    state = b"(dS'_shape'\n(I%d\nI%d\ntsb." % shape
    return b'cscipy.sparse.dok\ndok_matrix\n)\x81' + entries + state


def test_reads_the_dictionaries_of_old_scipy(tmp_path):
    path = tmp_path / 'dok.pkl'
    path.write_bytes(old_dok([(0, 1), (2, 0)], [1.5, -2.0], (3, 2)))
    loaded = load_pickled_array(path)
    assert loaded.format == 'dok'
    assert loaded.toarray().tolist() == [[0, 1.5], [0, 0], [-2.0, 0]]
    path.write_bytes(old_dok([(0, 1), (2, 0)], [1.5, -2.0], (2, 2)))
    with pytest.raises(ValueError, match=r'row ids must be from 0 to 1, got .* to 2'):
        load_pickled_array(path)


def test_reads_the_bytes_of_python_2(tmp_path):
    data = pickle.dumps(np.array([1.0, -0.3]), 4)
    raw = np.array([1.0, -0.3]).tobytes()
    assert data.count(b'C\x10' + raw) == 1  # SHORT_BINBYTES to SHORT_BINSTRING.
    path = tmp_path / 'array.pkl'
    path.write_bytes(data.replace(b'C\x10' + raw, b'U\x10' + raw))
    assert load_pickled_array(path).tolist() == [1.0, -0.3]


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64'])
def test_reads_arrays(tmp_path, dtype, protocol):
    array = np.arange(6, dtype=dtype).reshape(2, 3)
    path = tmp_path / 'array.pkl'
    path.write_bytes(pickle.dumps(array, protocol))
    loaded = load_pickled_array(path)
    assert loaded.dtype == array.dtype and (loaded == array).all()


def test_reads_the_old_names_of_numpy_and_scipy(tmp_path):
    path = tmp_path / 'array.pkl'
    data = pickle.dumps(np.arange(3.0), protocol=0)
    path.write_bytes(data.replace(b'numpy._core.multiarray', b'numpy.core.multiarray'))
    assert (load_pickled_array(path) == np.arange(3.0)).all()


def sparse_list(value):
    matrix = scipy.sparse.lil_matrix(np.eye(2))
    matrix.data[0][0] = value
    return matrix


def test_code_is_rejected_and_does_not_run(tmp_path):
    witness, path = tmp_path / 'ran', tmp_path / 'bad.pkl'
    for payload in (
        sparse_list(Malicious(f'touch {witness}')),
        Malicious(f'touch {witness}'),
        [np.zeros(2), Malicious(f'touch {witness}')],
        np.array([Malicious(f'touch {witness}')], dtype=object),
    ):
        path.write_bytes(pickle.dumps(payload))
        with pytest.raises(ValueError, match=r'bad\.pkl.*refers to posix\.system'):
            load_pickled_array(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    'name',
    [
        'builtins eval',
        'builtins getattr',
        '__builtin__ getattr',
        'builtins type',
        'copyreg __newobj__',
        'copyreg add_extension',
        'operator attrgetter',
        'functools partial',
        '_codecs lookup',
        'scipy.io loadmat',
        'numpy.testing runstring',
        'os system',
        'scipy.sparse._coo sys',
        'numpy load',
        'numpy.f2py run',
    ],
)
def test_other_names_are_rejected(tmp_path, name):
    module, function = name.split()
    path = tmp_path / 'bad.pkl'
    path.write_bytes(f'c{module}\n{function}\n.'.encode())
    with pytest.raises(ValueError, match=f'refers to {name.replace(" ", ".")}'):
        load_pickled_array(path)


ATTACKS = {
    'pointers': b"cnumpy\nndarray\n((I1\ntcnumpy\ndtype\n(S'O'\ntRC\x08AAAAAAAAtR.",
    'objects': b"cnumpy\n_frombuffer\n(C\x08AAAAAAAAcnumpy\ndtype\n(S'O'\n"
    b"I00\nI01\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb(I1\ntS'C'\ntR.",
    'class': b"cscipy.sparse\ncsr_matrix\n(N(dS'tocoo'\nc_codecs\nencode\nstb.",
    'function': b"cnumpy\n_frombuffer\n(N(dS'__defaults__'\n(I1\ntstb.",
    'codec': b'c_codecs\nencode\n(VAA\nVrot13\ntR.',
}


@pytest.mark.parametrize('name', ATTACKS)
def test_forged_instructions_have_no_effect(tmp_path, name):
    path = tmp_path / 'forged.pkl'
    path.write_bytes(ATTACKS[name])
    tocoo = scipy.sparse.csr_matrix.tocoo
    with pytest.raises(ValueError, match=r'forged\.pkl is not a pickled numpy array'):
        load_pickled_array(path)
    assert scipy.sparse.csr_matrix.tocoo is tocoo
    path.write_bytes(pickle.dumps(np.arange(3.0)))
    assert (load_pickled_array(path) == np.arange(3.0)).all()


def sparse(layout, shape, **parts):
    matrix = getattr(scipy.sparse, f'{layout}_matrix')(np.eye(3))
    vars(matrix).update(_shape=shape, **parts)
    return matrix


def empty(*shape):
    return np.empty(shape, np.int32)


CLAIMS = {
    'rows of a coo': sparse('coo', (2**31, 3)),
    'columns of a coo': sparse('coo', (3, 10**10)),
    'columns of a csr': sparse('csr', (3, 10**10)),
    'rows of a csr': sparse('csr', (2**31, 3)),
    'rows of a csc': sparse('csc', (10**8, 3)),
    'rows of a dok': sparse('dok', (10**10, 3)),
    'columns of a lil': sparse('lil', (3, 2**31)),
    'rows of a lil': sparse('lil', (4, 3)),
    'columns of a dia': sparse('dia', (3, 2**31)),
    'columns of a bsr': sparse('bsr', (3, 2**31)),
    'rows below zero': sparse('coo', (-3, 3)),
    'half a row': sparse('coo', (3.5, 3)),
    'one dimension': sparse('coo', (3,)),
    'three dimensions': sparse('coo', (3, 3, 3)),
    'ids out of range': sparse('coo', (2, 3)),
    'ids out of range of a lil': sparse('lil', (3, 2)),
    'ids out of range of a csr': sparse('csr', (3, 2)),
    'ids that are no integers': sparse('coo', (3, 3), coords=(np.ones(3),) * 2),
    'fewer ids': sparse('coo', (3, 3), coords=(np.ones(2, int),) * 2),
    'rows of an empty array': np.empty((2**40, 0)),
    'texts': np.array(['a']),
    'complex numbers': np.ones(3, complex),
    'dates': np.array(['2020-01-01'], 'M8[D]'),
    'objects': np.array([1, None], object),
    'records': np.zeros(2, [('a', 'f8')]),
    'complex entries': scipy.sparse.coo_matrix(np.eye(3, dtype=complex)),
}


@pytest.mark.parametrize('name', CLAIMS)
def test_sizes_beyond_the_file_are_rejected(tmp_path, name):
    path = tmp_path / 'claim.pkl'
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(CLAIMS[name], protocol))
        with pytest.raises(ValueError, match=r'claim\.pkl .*: store a numpy array'):
            load_pickled_array(path)


def test_blocks_of_unbounded_size_are_not_created(tmp_path):
    size = 10**7
    matrix = scipy.sparse.bsr_matrix((3, 3), dtype=float)
    vars(matrix).update(
        _shape=(size, size), data=np.empty((0, size, size)), indptr=np.zeros(2, int)
    )
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(matrix))
    assert load_pickled_array(tmp_path / 'a.pkl').blocksize == (1, 1)


def test_a_row_with_many_references_is_not_copied(tmp_path):
    size = 1000
    row, ones = list(range(size)), [1.0] * size
    matrix = scipy.sparse.lil_matrix((size, size))
    for k in range(size):
        matrix.rows[k], matrix.data[k] = row, ones
    content = pickle.dumps(matrix)
    (tmp_path / 'a.pkl').write_bytes(content)
    with pytest.raises(ValueError, match=f'1000000 entries in {len(content)} bytes'):
        load_pickled_array(tmp_path / 'a.pkl')
    full = scipy.sparse.lil_matrix(np.ones((50, 50), bool))
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(full))
    assert load_pickled_array(tmp_path / 'a.pkl').nnz == 2500


def test_many_rows_without_entries(tmp_path):
    """Ten million users, three of them with held-out interactions."""
    path = tmp_path / 'tst_mat.pkl'
    path.write_bytes(pickle.dumps(sparse('coo', (10**7, 10**6))))
    assert load_pickled_array(path).shape == (10**7, 10**6)


BOMBS = {
    'bytes': b'\x8e' + b'\xff' * 7 + b'\x0f' + b'A' * 9 + b'.',
    'an array of bytes': b'\x96' + b'\xff' * 7 + b'\x0f' + b'A' * 9 + b'.',
    'a place of the memo': b'Nr\xff\xff\xff\xff.',
    'a long integer': b'\x8b\xff\xff\xff\x7fAAAA.',
    'a million digits': b'I' + b'9' * 10**6 + b'\n.',
    'keys that take indefinitely to hash': b')' + b'2\x86' * 99 + b'}q\x000h\x00.',
    'a dictionary of them': b'})' + b'2\x86' * 99 + b'Ns.',
    'an encoding that no one may show': b'cnumpy\n_frombuffer\n(c_codecs\nencode'
    b'\n(VA\n)' + b'2\x86' * 99 + b"tRcnumpy\ndtype\n(S'f8'\ntR(I1\ntS'C'\ntR.",
    'deep nesting': b'(' * 10**5 + b't' * 10**5 + b'.',
    'itself': b']2a.',
}


REASONS = {
    'holds objects, not numbers': pickle.dumps(np.array([1, None], object)),
    'indices must be integers, got float64': pickle.dumps(
        sparse('csr', (3, 3), indices=np.array([0.0, 1.0, 2.0]))
    ),
    r'its diagonals have the shape \(3,\)': pickle.dumps(
        sparse('dia', (3, 3), data=np.ones(3))
    ),
    'a mark is missing': b'Nt.',
    'an array is missing': b'cnumpy.core.multiarray\n_reconstruct\n'
    b'(cnumpy\nndarray\n(I0\ntC\x01btR.',
    'an encoding other than latin1': pickle.dumps(
        np.frombuffer(b'A' * 8), protocol=0
    ).replace(b'latin1', b'utf-8'),
    'holds object, not numbers': old_dok([(0, 1)], [1.5], (3, 2)).replace(
        b'F1.5', b'L1%sL' % (b'0' * 30)
    ),
}


@pytest.mark.parametrize('reason', REASONS)
def test_the_reason_is_given(tmp_path, reason):
    path = tmp_path / 'bad.pkl'
    path.write_bytes(REASONS[reason])
    with pytest.raises(ValueError, match=f'or it is damaged: .*{reason}'):
        load_pickled_array(path)


@pytest.mark.parametrize('name', BOMBS)
def test_bombs(tmp_path, name):
    path = tmp_path / 'bomb.pkl'
    path.write_bytes(BOMBS[name])
    with pytest.raises(ValueError, match=r'bomb\.pkl is not a pickled numpy array'):
        load_pickled_array(path)


def test_byte_order_and_fortran_order(tmp_path):
    path = tmp_path / 'array.pkl'
    array = np.asfortranarray(np.arange(6, dtype='>f8').reshape(2, 3))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(array, protocol))
        assert (load_pickled_array(path) == array).all()


def test_damaged_files(tmp_path):
    path = tmp_path / 'cut.pkl'
    whole = pickle.dumps(scipy.sparse.coo_matrix(np.eye(30)))
    for data in (b'', whole[: len(whole) // 2], whole[:-1], b'no pickle at all'):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r'cut\.pkl is not a pickled numpy array'):
            load_pickled_array(path)


def test_other_types_and_missing_files(tmp_path):
    path = tmp_path / 'list.pkl'
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(
        ValueError, match=r'list\.pkl is not a pickled numpy array .* holds list'
    ):
        load_pickled_array(path)
    with pytest.raises(FileNotFoundError):
        load_pickled_array(tmp_path / 'none.pkl')


def test_no_escape_sequence_reaches_the_terminal(tmp_path):
    path = tmp_path / 'a\x1b[2J.pkl'
    path.write_bytes(b'cos\nsys\x1b[31mtem\n.')
    with pytest.raises(ValueError) as caught:
        load_pickled_array(path)
    assert str(caught.value).isprintable() and 'refers to os.sys' in str(caught.value)
