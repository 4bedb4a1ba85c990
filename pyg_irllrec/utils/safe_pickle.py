from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import scipy.sparse

_LAYOUTS = ('coo', 'csr', 'csc')


def load_pickled_array(path: Path) -> Any:
    r"""Reads a pickled :class:`numpy.ndarray` of numbers or :mod:`scipy.sparse`
    matrix without running code of the file. Its instructions see only inert stand-ins,
    new ones for each file, which record shapes, dtypes and bytes. The array is built
    from these records once they are checked. A pickle that asks for anything else is
    refused.

    Args:
        path (Path): The file.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is refused, damaged, or holds something else.
    """
    path = Path(path)
    with open(path, 'rb') as file:
        try:
            value = _Unpickler(file).load()
            return value.build()
        except AttributeError:
            reason = f'it holds {type(value).__name__}, or parts are missing'
        except Exception as error:  # Damaged pickles raise almost anything.
            reason = str(error)
    raise ValueError(
        f'{path} is not a pickled numpy array or scipy.sparse matrix, or it is '
        f'damaged: {reason}'
    )


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.stand_ins = _stand_ins()

    def find_class(self, module: str, name: str) -> Any:
        package = module.split('.')[0]
        key = 'scipy.sparse' if module.startswith('scipy.sparse.') else package
        if f'{key}.{name}' not in self.stand_ins:
            raise pickle.UnpicklingError(f'it asks for {module}.{name}')
        return self.stand_ins[f'{key}.{name}']


def _stand_ins() -> dict[str, Any]:
    r"""The names that a pickle of an array may ask for. They are new for each file,
    because a pickle can change the classes and functions that it gets."""

    class Dtype:
        order = '='

        def __init__(self, name: str, *_: Any) -> None:
            self.name = name

        def __setstate__(self, state: tuple[Any, ...]) -> None:
            self.order = state[1]

        def build(self) -> np.dtype[Any]:
            dtype = np.dtype(str(self.name))
            if dtype.kind not in 'biuf':
                raise ValueError(f'it holds {dtype}, not numbers')
            order: Any = '=' if self.order == '|' else self.order
            return dtype.newbyteorder(order)

    class Array:
        state: tuple[Any, ...]

        def __init__(self, *_: Any) -> None:
            pass

        def __setstate__(self, state: tuple[Any, ...]) -> None:
            self.state = state[-4:]

        def build(self) -> npt.NDArray[Any]:
            shape, dtype, fortran, data = self.state
            flat = np.frombuffer(data, dtype.build())
            return flat.reshape(shape, order='F' if fortran else 'C').copy()

    def from_buffer(data: Any, dtype: Dtype, shape: Any, order: str) -> Array:
        array = Array()
        array.state = (shape, dtype, order == 'F', data)
        return array

    def encode(text: str, encoding: str) -> bytes:
        if encoding != 'latin1':
            raise pickle.UnpicklingError(f'it asks for the encoding {encoding}')
        return text.encode('latin1')

    def matrix(layout: str, kind: str) -> type:
        def build(self: Any) -> Any:
            parts = {
                name: [part.build() for part in value]
                if isinstance(value, tuple) and name == 'coords'
                else value.build()
                for name, value in vars(self).items()
                if name in ('coords', 'row', 'col', 'data', 'indices', 'indptr')
            }
            cls = getattr(scipy.sparse, f'{layout}_{kind}')
            return _build_matrix(cls, layout, vars(self)['_shape'], parts)

        return type(f'{layout}_{kind}', (), {'build': build})

    return {
        'numpy.dtype': Dtype,
        'numpy.ndarray': type('ndarray', (), {}),
        'numpy._reconstruct': Array,
        'numpy._frombuffer': from_buffer,
        '_codecs.encode': encode,
        **{
            f'scipy.sparse.{layout}_{kind}': matrix(layout, kind)
            for layout in _LAYOUTS
            for kind in ('matrix', 'array')
        },
    }


def _build_matrix(
    cls: Any, layout: str, shape: tuple[int, int], parts: dict[str, Any]
) -> Any:
    num_rows, num_columns = (int(size) for size in shape)
    if layout == 'coo':
        row, column = parts.get('coords') or (parts['row'], parts['col'])
        for name, index, size in (
            ('row', row, num_rows),
            ('column', column, num_columns),
        ):
            if index.size > 0 and (index.min() < 0 or index.max() >= size):
                raise ValueError(
                    f'its {name} ids must lie from 0 to {size - 1}, got ids from '
                    f'{index.min()} to {index.max()}'
                )
        return cls((parts['data'], (row, column)), shape=(num_rows, num_columns))
    compressed = tuple(parts[name] for name in ('data', 'indices', 'indptr'))
    out = cls(compressed, shape=(num_rows, num_columns))
    out.check_format(full_check=True)
    return out
