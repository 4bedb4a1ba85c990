from __future__ import annotations

import codecs
import pickle
from pathlib import Path
from typing import Any, cast

import numpy as np
import scipy.sparse

_SPARSE = {
    f'{layout}_{kind}'
    for layout in ('coo', 'csr', 'csc')
    for kind in ('matrix', 'array')
}
# How numpy rebuilds an array, wherever its version keeps the function.
_REBUILD: dict[str, Any] = {
    function.__name__: function
    for function in (
        cast(Any, np.zeros(0).__reduce__()[0]),
        cast(Any, np.zeros(0).__reduce_ex__(5)[0]),
    )
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        package = module.split('.')[0]
        if package == 'scipy' and module.startswith('scipy.sparse') and name in _SPARSE:
            return getattr(scipy.sparse, name)
        if module == 'numpy' and name in ('ndarray', 'dtype'):
            return getattr(np, name)
        if package == 'numpy' and name in _REBUILD:
            return _REBUILD[name]
        if (module, name) == ('_codecs', 'encode'):
            return codecs.encode
        raise pickle.UnpicklingError(f'it asks for {module}.{name}')


def load_pickled_array(path: Path) -> Any:
    r"""Reads a pickled :class:`numpy.ndarray` or :mod:`scipy.sparse` matrix. A
    pickle can run code when it is loaded: one that asks for anything but these
    types is refused, and nothing of it runs.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is refused, damaged, or holds something else.
    """
    path = Path(path)
    with open(path, 'rb') as file:
        try:
            value = _ArrayUnpickler(file).load()
        except Exception as error:  # Damaged pickles raise almost anything.
            raise ValueError(
                f'{path} is not a pickled numpy array or scipy.sparse matrix, or it '
                f'is damaged: {error}'
            ) from None
    if not isinstance(value, np.ndarray) and not scipy.sparse.issparse(value):
        raise ValueError(
            f'{path} must hold a numpy array or a scipy.sparse matrix, got '
            f'{type(value).__name__}'
        )
    return value
