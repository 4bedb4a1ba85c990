from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pyg_irllrec.utils.argument_checks import is_iterable
from pyg_irllrec.utils.clean_id import LOST_DIGITS, clean_id, id_fault


def as_id_array(ids: Any) -> npt.NDArray[Any]:
    r"""Convert ids to an array of shape :math:`(N)` by the rules for tables: to
    :obj:`int64` if all are integers, in any notation, else to clean strings.

    Args:
        ids (sequence, numpy.ndarray or torch.Tensor): Integers, strings, or floats
            without a fraction.

    Raises:
        ValueError: If :obj:`ids` is not a vector, or an id is missing, of another type
            or a float that may have lost digits.
    """
    if isinstance(ids, Tensor):
        ids = _from_tensor(ids)
    if not is_iterable(ids) or isinstance(ids, (set, frozenset)):  # A set has no order.
        raise ValueError(
            f"'ids' must be a list of ids, an array or a tensor, got "
            f'{type(ids).__name__}'
        )
    if not isinstance(ids, np.ndarray):
        ids = ids.to_pylist() if hasattr(ids, 'to_pylist') else list(ids)
        # A fast path for integers. NumPy alone would also accept a bool as an integer.
        plain = np.array(ids) if set(map(type, ids)) == {int} else None
        if plain is not None and plain.dtype == np.int64:
            return plain
    elif ids.ndim != 1:
        raise ValueError(f"'ids' must be a vector, got shape {ids.shape}")
    elif ids.dtype.kind in 'iu' and not (ids >= 2**63).any():
        return ids.astype(np.int64)
    texts = [_to_text(each, row) for row, each in enumerate(ids)]
    integers = [_to_integer(text) for text in texts]
    if None in integers:
        return np.array(texts)
    return np.array(integers, np.int64)


def to_strings(ids: npt.NDArray[Any]) -> npt.NDArray[Any]:
    r"""The ids of :func:`as_id_array` as strings."""
    return ids if ids.dtype.kind == 'U' else ids.astype(str)


def _from_tensor(ids: Tensor) -> npt.NDArray[Any]:
    try:
        array: npt.NDArray[Any] = ids.detach().cpu().numpy()
    except (TypeError, RuntimeError):  # Sparse, or of a dtype that NumPy lacks.
        raise ValueError(
            f"'ids' must be a dense tensor of integers, got {ids.dtype}, {ids.layout}"
        ) from None
    return array


def _to_text(value: Any, row: int) -> str:
    if isinstance(value, str):
        return _clean(value, row)
    if isinstance(value, (float, np.floating)):
        return str(_to_whole(value, row))
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return str(value)
    if value is None or type(value).__name__ == 'NAType':
        _fail('lacks an id', row)
    _fail(f'must hold integers or strings, got {type(value).__name__}', row)


def _clean(text: str, row: int) -> str:
    text = clean_id(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        _fail('holds half a surrogate pair, which is not text', row)
    if fault := id_fault(text):
        _fail(f'{fault}, got {text!a}', row)
    return text


def _to_whole(value: Any, row: int) -> int:
    if value != value:
        _fail('lacks an id', row)
    if not np.isfinite(value) or value != np.trunc(value):
        _fail(f'must hold integers or strings, got {value}', row)
    kind = type(value) if isinstance(value, np.floating) else float
    if abs(value) >= 2 / np.finfo(kind).eps:
        _fail(LOST_DIGITS, row)
    return int(value)


def _to_integer(text: str) -> int | None:
    digits = text.removeprefix('-')
    plain = digits.isascii() and digits.isdigit() and len(digits) < 20
    if not plain or str(int(text)) != text:
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _fail(reason: str, row: int) -> NoReturn:
    raise ValueError(f"'ids', row {row}: {reason}")
