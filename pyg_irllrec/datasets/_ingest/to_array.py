from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from pyg_irllrec.datasets._ingest.cell_location import CellLocation

_COARSE = tuple(np.dtype(f'M8[{unit}]') for unit in ('Y', 'M', 'W', 'h', 'm'))
_BFLOAT16_EXACT_BELOW = 2**8


def to_array(column: Any, cell: CellLocation) -> Any:
    r"""Convert a column to an Arrow array. Strings and numbers in one column become
    strings, as they would in a CSV file.

    Raises:
        ValueError: If it mixes other types, or is not a column.
    """
    column = as_column(column, cell)
    if isinstance(column, (pa.Array, pa.ChunkedArray)):
        return column
    try:
        values = pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass  # Values of several types, or integers beyond int64.
    else:
        # After a float, Arrow reads a Boolean as a number.
        if has_type(column) or not pa.types.is_floating(values.type):
            return values
        if not {bool, np.bool_} & set(map(type, column)):
            return values
    texts = [_to_text(value, row, cell) for row, value in enumerate(column)]
    return pa.array(texts, pa.large_string())


def has_type(column: Any) -> bool:
    r"""Whether a column has one type for all of its values."""
    return str(getattr(column, 'dtype', 'object')).lower() != 'object'


def as_column(column: Any, cell: CellLocation) -> Any:
    r"""Return a column in a form that Arrow accepts, or raise a :class:`ValueError` if
    it is not a column."""
    if isinstance(column, (pa.Array, pa.ChunkedArray)):
        return column
    if isinstance(column, Tensor):
        column = _from_tensor(column, cell)
    is_list = all(hasattr(column, name) for name in ('__len__', '__getitem__'))
    if not is_list or isinstance(column, (str, bytes, bytearray, Mapping)):
        cell.fail(f'must be a sequence of values, got {type(column).__name__}')
    if getattr(column, 'ndim', 1) != 1:
        cell.fail(f'must have one value per row, got the shape {tuple(column.shape)}')
    dtype = getattr(column, 'dtype', None)
    if not isinstance(dtype, np.dtype):
        return column
    if dtype.kind == 'T':  # NumPy's StringDType, which Arrow does not read.
        return column.astype(object)
    if dtype.kind == 'f' and dtype.itemsize > 8:
        cell.fail(f'must hold numbers of 64 bits at most, got {dtype}')
    if dtype.newbyteorder('=') in _COARSE:
        return _to_seconds(column, cell)
    return column if dtype.isnative else column.astype(dtype.newbyteorder('='))


def _from_tensor(column: Tensor, cell: CellLocation) -> Any:
    if column.layout is not torch.strided:
        cell.fail(f'must be dense, got {column.layout}: call .to_dense() on it')
    column = column.detach().cpu()
    if column.dtype is torch.bfloat16:  # NumPy has no bfloat16.
        column = column.float()
        if bool((column.abs() >= _BFLOAT16_EXACT_BELOW).any()):
            cell.fail(
                f'must be below {_BFLOAT16_EXACT_BELOW} in torch.bfloat16, which '
                'cannot represent all larger integers: use a wider type'
            )
    try:
        return column.resolve_conj().resolve_neg().numpy()
    except (TypeError, RuntimeError):
        cell.fail(f'must have a type that NumPy supports, got {column.dtype}')


def _to_seconds(column: Any, cell: CellLocation) -> Any:
    r"""Convert dates in a unit that Arrow does not support to seconds."""
    # The bound covers the years 1 to 9999 in each of these units, and fits seconds.
    if bool((np.abs(column.astype(np.int64)) > 2**33).any()):
        cell.fail('must hold times of the years 1 to 9999')
    return column.astype('M8[s]')


def _to_text(value: Any, row: int, cell: CellLocation) -> str | None:
    if isinstance(value, str):
        check_text(value, row, cell)
        return value
    if value is None or type(value).__name__ in ('NAType', 'NaTType'):
        return None
    number = isinstance(value, (int, float, np.integer, np.floating))
    if not number or isinstance(value, bool):
        cell.fail(
            'must hold values of one type, such as integers or strings, got '
            f'{type(value).__name__} among them',
            row,
        )
    if value != value:
        return None
    if abs(value) == np.inf:
        cell.fail('must hold finite numbers', row, value)
    small = isinstance(value, (np.float16, np.float32))
    if small and abs(value) >= 2 / np.finfo(type(value)).eps:
        cell.fail(f'must hold float64 or integers, got {type(value).__name__}', row)
    return str(value)


def check_text(text: str, row: int, cell: CellLocation) -> None:
    r"""Raise a :class:`ValueError` for a string that is not valid Unicode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        cell.fail(
            'holds half a surrogate pair, which is not valid text', row, ascii(text)
        )
