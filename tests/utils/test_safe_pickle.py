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
    with pytest.raises(ValueError, match=r'must hold a numpy array or .* got list'):
        load_pickled_array(path)
    with pytest.raises(FileNotFoundError):
        load_pickled_array(tmp_path / 'none.pkl')
