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


@pytest.mark.parametrize('protocol', range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    'layout', ['coo_matrix', 'csr_matrix', 'coo_array', 'csc_array']
)
def test_reads_matrices(tmp_path, layout, protocol):
    matrix = scipy.sparse.random(5, 4, density=0.5, random_state=0)
    path = tmp_path / 'matrix.pkl'
    path.write_bytes(pickle.dumps(getattr(scipy.sparse, layout)(matrix), protocol))
    assert (load_pickled_array(path).toarray() == matrix.toarray()).all()


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


def test_code_is_refused_and_does_not_run(tmp_path):
    witness, path = tmp_path / 'ran', tmp_path / 'bad.pkl'
    for payload in (
        Malicious(f'touch {witness}'),
        [np.zeros(2), Malicious(f'touch {witness}')],
        np.array([Malicious(f'touch {witness}')], dtype=object),
    ):
        path.write_bytes(pickle.dumps(payload))
        with pytest.raises(ValueError, match=r'bad\.pkl.*asks for posix\.system'):
            load_pickled_array(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    'name',
    [
        'builtins eval',
        'os system',
        'scipy.sparse._coo sys',
        'numpy load',
        'numpy.f2py run',
    ],
)
def test_no_other_name_is_found(tmp_path, name):
    module, function = name.split()
    path = tmp_path / 'bad.pkl'
    path.write_bytes(f'c{module}\n{function}\n.'.encode())
    with pytest.raises(ValueError, match=f'asks for {name.replace(" ", ".")}'):
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
def test_forged_instructions_change_and_build_nothing(tmp_path, name):
    path = tmp_path / 'forged.pkl'
    path.write_bytes(ATTACKS[name])
    tocoo = scipy.sparse.csr_matrix.tocoo
    with pytest.raises(ValueError, match=r'forged\.pkl is not a pickled numpy array'):
        load_pickled_array(path)
    assert scipy.sparse.csr_matrix.tocoo is tocoo
    path.write_bytes(pickle.dumps(np.arange(3.0)))
    assert (load_pickled_array(path) == np.arange(3.0)).all()


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
