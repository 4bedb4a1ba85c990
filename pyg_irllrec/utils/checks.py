r"""Checks of the values of arguments, each with one clear error message."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Optional

import torch
from torch import Tensor


def check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is one of :obj:`allowed`."""
    if not isinstance(value, str) or value not in allowed:
        choices = ', '.join(map(repr, allowed))
        raise ValueError(f"'{name}' must be one of {choices}, got {value!r}")


def is_number(value: object) -> bool:
    r"""Whether :obj:`value` is a real number and not a bool."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_positive(name: str, value: float) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is a number above 0."""
    if not is_number(value) or not value > 0:
        raise ValueError(f"'{name}' must be above 0, got {value!r}")
    check_bounded(f"'{name}'", value)


def check_not_below(what: str, value: float, least: float) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is a number of at least
    :obj:`least`."""
    if not is_number(value) or not value >= least:
        raise ValueError(f'{what} must be at least {least}, got {value!r}')
    check_bounded(what, value)


def check_not_negative(name: str, value: float) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is a number of at least 0."""
    check_not_below(f"'{name}'", value, 0)


def check_bounded(what: str, value: float) -> None:
    r"""Raise a :class:`ValueError` for infinity and for integers that are too large for
    torch."""
    if value >= 2**63:
        raise ValueError(f'{what} must be below 2**63, got {value!r}')


def check_fraction(name: str, value: float) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is in [0, 1)."""
    if not is_number(value) or not 0 <= value < 1:
        raise ValueError(f"'{name}' must be at least 0 and below 1, got {value!r}")


def check_count(name: str, value: object, least: int = 1) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is an integer of at least
    :obj:`least`."""
    integral = isinstance(value, Integral) and not isinstance(value, bool)
    if not integral or value < least:  # type: ignore[operator]
        raise ValueError(
            f"'{name}' must be an integer of at least {least}, got {value!r}"
        )
    check_bounded(f"'{name}'", value)  # type: ignore[arg-type]


def check_seed(seed: object, name: str = 'seed', bits: int = 63) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`seed` is an integer from 0 to
    :math:`2^{bits} - 1`: torch generators accept 63 bits on every device, and
    scikit-learn 32 bits."""
    integral = isinstance(seed, Integral) and not isinstance(seed, bool)
    if not integral or not 0 <= seed < 2**bits:  # type: ignore[operator]
        raise ValueError(
            f"'{name}' must be an integer from 0 to 2**{bits} - 1, got {seed!r}"
        )


def check_generator(value: object) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is :obj:`None` or a
    generator."""
    if value is not None and not isinstance(value, torch.Generator):
        raise ValueError(
            f"'generator' must be a torch.Generator or None, got {type(value).__name__}"
        )


def check_matrix(name: str, value: Tensor, *, may_be_empty: bool = False) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is a dense floating-point
    matrix, with at least one row unless :obj:`may_be_empty`."""
    if not isinstance(value, Tensor):
        raise ValueError(f"'{name}' must be a tensor, got {type(value).__name__}")
    # A compiled graph may not know the number of rows.
    if value.dim() != 2 or not (
        may_be_empty or torch.compiler.is_compiling() or value.size(0) > 0
    ):
        rows = '' if may_be_empty else ' with at least one row'
        raise ValueError(
            f"'{name}' must be a matrix{rows}, got shape {tuple(value.shape)}"
        )
    if not value.is_floating_point():
        raise ValueError(
            f"'{name}' must hold floating-point numbers, got {value.dtype}"
        )
    if value.layout is not torch.strided:
        raise ValueError(
            f"'{name}' must be dense, got {value.layout}: call .to_dense() on it"
        )


def check_same_precision(
    name: str, value: Tensor, other_name: str, other: Tensor
) -> None:
    r"""Raise a :class:`ValueError` unless both tensors have the same precision, where
    half precision counts as :obj:`float32`."""
    if max(value.dtype.itemsize, 4) != max(other.dtype.itemsize, 4):
        raise ValueError(
            f"'{name}' must be as precise as '{other_name}', {other.dtype}, got "
            f'{value.dtype}: convert one of them'
        )


def check_vector(name: str, value: Tensor) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is a dense floating-point
    vector."""
    if not isinstance(value, Tensor):
        raise ValueError(f"'{name}' must be a tensor, got {type(value).__name__}")
    is_dense = value.layout is torch.strided
    if value.dim() != 1 or not value.is_floating_point() or not is_dense:
        raise ValueError(
            f"'{name}' must be a dense vector of floating-point numbers, got "
            f'{value.dtype} of shape {tuple(value.shape)}, {value.layout}'
        )


def check_integer(name: str, value: Tensor) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` holds integers."""
    if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
        raise ValueError(f"'{name}' must hold integers, got {value.dtype}")


def check_ids(name: str, value: Tensor) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is dense and has an integer
    dtype that can index: torch reads 8 bits as a mask and rejects 16 bits."""
    check_integer(name, value)
    if value.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"'{name}' must have dtype torch.int64 or torch.int32, got {value.dtype}: "
            'call .long() on it'
        )
    if value.layout is not torch.strided:
        raise ValueError(f"'{name}' must be dense, got {value.layout}")


def check_same_shape(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is a tensor with the shape of
    :obj:`other`."""
    if not isinstance(value, Tensor):
        raise ValueError(f"'{name}' must be a tensor, got {type(value).__name__}")
    if value.shape != other.shape:
        raise ValueError(
            f"'{name}' must have the shape of '{other_name}', {tuple(other.shape)}, "
            f'got {tuple(value.shape)}'
        )


def check_length(name: str, value: Optional[Tensor], length: int) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is :obj:`None` or a dense vector
    of this length."""
    if value is None:
        return
    if not isinstance(value, Tensor):
        raise ValueError(f"'{name}' must be a tensor, got {type(value).__name__}")
    if value.layout is not torch.strided:
        raise ValueError(f"'{name}' must be dense, got {value.layout}")
    if value.shape != (length,):
        raise ValueError(
            f"'{name}' must have shape ({length},), got {tuple(value.shape)}"
        )


def check_finite(name: str, value: Tensor) -> None:
    r"""Raise a :class:`ValueError` if a row holds NaN or infinity. It reads the values:
    call it once per tensor, not in every training step."""
    bad = (~torch.isfinite(value).flatten(1).all(dim=1)).nonzero().flatten()
    if bad.numel() > 0:
        raise ValueError(
            f"'{name}' must be finite, got NaN or infinity in {bad.numel()} of "
            f'{value.size(0)} rows (first: row {int(bad[0])})'
        )


def check_rows(
    name: str, value: Tensor, num_rows: int, each: str = 'per node, users first'
) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is a floating-point matrix
    with this number of rows."""
    check_matrix(name, value, may_be_empty=True)
    if value.size(0) != num_rows:
        raise ValueError(
            f"'{name}' must have a row {each}, {num_rows} rows, got {value.size(0)}"
        )


def check_triplets(
    triplets: Tensor, num_users: int, num_items: int, *, may_be_empty: bool = False
) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`triplets` has columns of a user id and
    two item ids, and at least one unless it may be empty. Values are checked on a CPU
    only."""
    if not isinstance(triplets, Tensor):
        raise ValueError(f"'triplets' must be a tensor, got {type(triplets).__name__}")
    is_empty = triplets.numel() == 0
    if triplets.dim() != 2 or triplets.size(0) != 3 or (is_empty and not may_be_empty):
        raise ValueError(
            f"'triplets' must have shape (3, batch_size), got {tuple(triplets.shape)}"
        )
    if triplets.dtype is not torch.int64 or triplets.layout is not torch.strided:
        check_ids('triplets', triplets)
    if is_empty or not triplets.is_cpu or torch.compiler.is_compiling():
        return
    low, high = triplets.amin(dim=1).tolist(), triplets.amax(dim=1).tolist()
    sides = ('users', num_users), ('items', num_items), ('items', num_items)
    for row, (side, count) in enumerate(sides):
        if low[row] < 0 or high[row] >= count:
            raise ValueError(
                f"'triplets[{row}]' must hold ids of {side} from 0 to {count - 1}, got "
                f'ids from {low[row]} to {high[row]}'
            )


def check_index(
    name: str, value: Tensor, num_rows: int, *, may_be_empty: bool = False
) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is a vector of row numbers, with
    at least one unless :obj:`may_be_empty`. Values are checked on a CPU only."""
    is_vector = isinstance(value, Tensor) and value.dim() == 1
    if not is_vector or (value.numel() == 0 and not may_be_empty):
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        least, plural = ('', 's') if may_be_empty else ('at least one ', '')
        raise ValueError(
            f"'{name}' must be a vector of {least}row number{plural}, got {got}"
        )
    check_ids(name, value)
    if not value.is_cpu or torch.compiler.is_compiling() or value.numel() == 0:
        return
    low, high = int(value.min()), int(value.max())
    if low < 0 or high >= num_rows:
        raise ValueError(
            f"'{name}' must hold numbers from 0 to {num_rows - 1}, got {low} to {high}"
        )


def check_vectors(
    name: str, value: Tensor, num_rows: int, each: str = 'per node, users first'
) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` has this number of rows, all
    finite. It reads the values: call it once per tensor, not in every training step."""
    check_rows(name, value, num_rows, each)
    check_finite(name, value)
