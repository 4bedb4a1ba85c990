from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Any, Union

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pyg_irllrec.utils.pickle_records import (
    PickledDict,
    PickledName,
    PickledObject,
    read_pickle_records,
)
from pyg_irllrec.utils.printable import printable

_LAYOUTS = ('coo', 'csr', 'csc', 'bsr', 'dia', 'lil', 'dok')
_MATRICES = {f'{layout}_{kind}' for layout in _LAYOUTS for kind in ('matrix', 'array')}
_NAMES = {
    'numpy': {'dtype', 'ndarray', '_reconstruct', '_frombuffer', 'scalar'},
    '_codecs': {'encode'},
    'copyreg': {'_reconstructor'},
    'copy_reg': {'_reconstructor'},
    # For protocols 0 and 1, and for empty bytes.
    'builtins': {'object', 'dict', 'bytes'},
    '__builtin__': {'object', 'dict', 'bytes'},
}
# NumPy's codes of dtypes that are not numbers.
_OTHER_KINDS = {'O': 'objects', 'c': 'complex numbers', 'S': 'bytes', 'U': 'texts'}
_ADVICE = (
    'store a numpy array of numbers or a scipy.sparse matrix, such as '
    'pickle.dump(matrix.tocsr(), file)'
)
_Entries = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]
# Empty rows and columns take no bytes in the file, but memory in code that uses them.
_MAX_FREE_SIZE = 10**7


def load_pickled_array(path: Path) -> Any:
    r"""Load a pickled :class:`numpy.ndarray` of numbers or a :mod:`scipy.sparse` matrix
    of any layout without running code from the file. Only shapes, dtypes and bytes are
    read from the pickle; the array is built from them after they are checked. A pickle
    that refers to anything else is rejected.

    The numbers of rows and columns of a matrix may not exceed the size of the file in
    bytes, or ten million if that is more: empty rows take no bytes, so that a tiny file
    could declare any number of them.

    Args:
        path (Path): The file.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is rejected, damaged, or holds something else.
    """
    path = Path(path)
    with open(path, 'rb') as file:
        size = file.seek(0, 2)
        try:
            if size == 0:
                raise ValueError('it is empty')
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                value = read_pickle_records(content, _is_allowed)  # type: ignore[arg-type]
            return _build(value, size)
        except Exception as error:  # Invalid pickles raise almost anything.
            reason = printable(error) or type(error).__name__
    raise ValueError(
        f'{printable(path)} is not a pickled numpy array or scipy.sparse matrix, or it '
        f'is damaged: {reason[:300]}: {_ADVICE}'
    )


def _is_allowed(name: PickledName) -> bool:
    if name.module.split('.')[:2] == ['scipy', 'sparse']:
        return name.name in _MATRICES
    return name.name in _NAMES.get(name.module.split('.')[0], ())


def _build(value: Any, num_bytes: int) -> Any:
    max_size = max(num_bytes, _MAX_FREE_SIZE)
    if isinstance(value, PickledObject) and value.name.name != '_reconstructor':
        if value.name.name in ('_reconstruct', '_frombuffer'):
            array = _build_array(value)
            if max(array.shape, default=0) > max_size:
                raise ValueError(f'it declares the shape {array.shape}')
            return array
        if value.name.name in _MATRICES:
            return _build_matrix(value, value.name.name, num_bytes)
    if isinstance(value, PickledObject) and isinstance(value.args[0], PickledName):
        return _build_matrix(value, value.args[0].name, num_bytes)
    raise ValueError(f'it holds {_describe(value)}')


def _describe(value: Any) -> str:
    if isinstance(value, PickledObject):
        return str(value.name)
    return {PickledDict: 'dict'}.get(type(value), type(value).__name__)


def _build_dtype(value: Any) -> np.dtype[Any]:
    if not _is_made_by(value, 'dtype'):
        raise ValueError('an array lacks its dtype')
    name = value.args[0]
    if not re.fullmatch('[biuf][0-9]{1,2}', name):
        kind = _OTHER_KINDS.get(name[:1], f'values of dtype {name[:40]!r}')
        raise ValueError(f'it holds {kind}, not numbers')
    order: Any = '=' if value.state is None else value.state[1]
    dtype: np.dtype[Any] = np.dtype(name)
    return dtype.newbyteorder('=' if order == '|' else order)


def _build_array(value: Any) -> npt.NDArray[Any]:
    shape, dtype, fortran, data = _array_parts(value)
    dtype = _build_dtype(dtype)
    flat = np.frombuffer(_build_bytes(data), dtype)
    if dtype.kind == 'b':  # Bytes above 1 are invalid bools.
        flat = flat.view(np.uint8) != 0
    return flat.reshape(shape, order='F' if fortran else 'C').copy()


def _array_parts(value: Any) -> tuple[tuple[int, ...], Any, bool, Any]:
    if _is_made_by(value, '_frombuffer'):
        data, dtype, shape, order = value.args
        return shape, dtype, order == 'F', data
    if not _is_made_by(value, '_reconstruct') or value.state is None:
        raise ValueError('an array is missing')
    shape, dtype, fortran, data = value.state[-4:]
    return shape, dtype, fortran, data


def _build_bytes(value: Any) -> Union[bytes, bytearray]:
    if _is_made_by(value, 'encode'):
        text, encoding = value.args
        if encoding != 'latin1':
            # The encoding is not shown: nested tuples can take forever to print.
            raise ValueError('it uses an encoding other than latin1')
        value = text
    elif _is_made_by(value, 'bytes') and value.args == ():
        return b''
    if isinstance(value, str):  # Python 2 bytes too.
        return value.encode('latin1')
    if not isinstance(value, (bytes, bytearray)):
        raise ValueError(f'an array must hold bytes, got {_describe(value)}')
    return value


def _build_matrix(value: PickledObject, name: str, num_bytes: int) -> Any:
    if name not in _MATRICES:
        raise ValueError(f'it holds {name}')
    layout = name.split('_')[0]
    max_size = max(num_bytes, _MAX_FREE_SIZE)
    parts = {key: part for key, part in value.state if isinstance(key, str)}
    shape = _build_shape(parts['_shape'], max_size)
    cls = getattr(scipy.sparse, name)
    if layout == 'lil':
        return cls(_to_coo(*_lil_entries(parts, shape[0], num_bytes), shape))
    if layout == 'dok':
        return cls(_to_coo(*_dok_entries(value, parts), shape))
    if layout == 'coo':
        coords = parts.get('coords') or (parts['row'], parts['col'])
        row, column = (_build_array(part) for part in coords)
        return cls(_to_coo(_build_array(parts['data']), row, column, shape))
    data = _build_array(parts['data'])
    if layout == 'dia':
        offsets = _build_array(parts['offsets'])
        _check_integers(offsets)
        if data.ndim != 2 or data.shape[1] > max_size:
            raise ValueError(f'its diagonals have the shape {data.shape}')
        return cls((data, offsets), shape=shape)
    indices, indptr = (_build_array(parts[name]) for name in ('indices', 'indptr'))
    _check_integers(indices, indptr)
    if layout == 'bsr' and data.size == 0:  # Its block size is unbounded.
        return cls(shape, dtype=data.dtype)
    out = cls((data, indices, indptr), shape=shape)
    out.check_format(full_check=True)
    return out


def _build_shape(shape: Any, max_size: int) -> tuple[int, int]:
    num_rows, num_columns = (_build_integer(size) for size in shape)
    if not (0 <= num_rows <= max_size and 0 <= num_columns <= max_size):
        raise ValueError(
            f'it declares {num_rows} rows and {num_columns} columns, more than the '
            f'{max_size} that are allowed for a file of its size'
        )
    return num_rows, num_columns


def _to_coo(
    data: npt.NDArray[Any],
    row: npt.NDArray[Any],
    column: npt.NDArray[Any],
    shape: tuple[int, int],
) -> scipy.sparse.coo_array:
    _check_integers(row, column)
    for name, index, size in zip(('row', 'column'), (row, column), shape):
        if index.ndim != 1 or index.shape != data.shape:
            raise ValueError(f'it has {data.size} entries and {index.size} {name} ids')
        if index.size > 0 and (index.min() < 0 or index.max() >= size):
            raise ValueError(
                f'its {name} ids must be from 0 to {size - 1}, got ids from '
                f'{index.min()} to {index.max()}'
            )
    return scipy.sparse.coo_array((data, (row, column)), shape=shape)


def _lil_entries(parts: dict[str, Any], num_rows: int, num_bytes: int) -> _Entries:
    r"""The values, the rows and the columns of all entries."""
    columns, values = (_build_lists(parts[name]) for name in ('rows', 'data'))
    lengths = [len(row) for row in columns]
    if lengths != [len(row) for row in values] or len(lengths) != num_rows:
        raise ValueError('its rows, its data and its shape differ in length')
    if sum(lengths) > num_bytes:  # A pickle may refer to one row many times.
        raise ValueError(f'it declares {sum(lengths)} entries in {num_bytes} bytes')
    return (
        _build_numbers([number for row in values for number in row], parts['dtype']),
        np.repeat(np.arange(len(columns)), lengths),
        _build_numbers([number for row in columns for number in row]),
    )


def _build_lists(value: Any) -> list[list[Any]]:
    _, dtype, _, rows = _array_parts(value)
    if not (_is_made_by(dtype, 'dtype') and str(dtype.args[0]).startswith('O')):
        raise ValueError('its rows are not lists')
    if type(rows) is not list or not all(type(row) is list for row in rows):
        raise ValueError('its rows are not lists')
    return rows


def _dok_entries(value: PickledObject, parts: dict[str, Any]) -> _Entries:
    r"""The values, the rows and the columns of all entries."""
    # New versions of scipy store '_dict'. In old versions the matrix was a dictionary,
    # whose items old pickle protocols pass as an argument.
    items = parts.get('_dict', value.items)
    if not items and _is_made_by(value, '_reconstructor'):
        items = value.args[2]
    rows, columns = [row for (row, _), _ in items], [column for (_, column), _ in items]
    return (
        _build_numbers([number for _, number in items], parts.get('dtype')),
        _build_numbers(rows),
        _build_numbers(columns),
    )


def _build_numbers(values: list[Any], dtype: Any = None) -> npt.NDArray[Any]:
    r"""An array of numbers, each a Python number or a NumPy scalar."""
    if not values and not dtype:
        return np.empty(0, np.int64)
    dtypes: dict[int, np.dtype[Any]] = {}
    numbers = [
        value if isinstance(value, (int, float)) else _build_scalar(value, dtypes)
        for value in values
    ]
    array = np.array(numbers, dtype=_build_dtype(dtype) if dtype else None)
    if array.ndim != 1 or array.dtype.kind not in 'biuf':
        raise ValueError(f'it holds {array.dtype}, not numbers')
    return array


def _build_scalar(value: Any, dtypes: dict[int, np.dtype[Any]]) -> Any:
    if not _is_made_by(value, 'scalar'):
        raise ValueError(f'it holds {_describe(value)}, not a number')
    dtype, data = value.args
    # All scalars of a pickle usually share one dtype object.
    if id(dtype) not in dtypes:
        dtypes[id(dtype)] = _build_dtype(dtype)
    (number,) = np.frombuffer(_build_bytes(data), dtypes[id(dtype)])
    return number


def _build_integer(value: Any) -> int:
    number = value if isinstance(value, (int, float)) else _build_scalar(value, {})
    if number != int(number):
        raise ValueError(f'{number} is not a valid size')
    return int(number)


def _check_integers(*arrays: npt.NDArray[Any]) -> None:
    for array in arrays:
        if array.dtype.kind not in 'iu':
            raise ValueError(f'its indices must be integers, got {array.dtype}')


def _is_made_by(value: Any, name: str) -> bool:
    return isinstance(value, PickledObject) and value.name.name == name
