from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    r"""Compute products of float32 matrices in TensorFloat-32 during a run with
    :obj:`precision="tf32"`. Other runs use the precision that the process has set."""
    if precision != 'tf32':
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision('high')
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def check_matmul_precision(precision: str) -> None:
    r"""Raise a :class:`ValueError` if torch cannot return its matmul precision, which a
    run would have to restore."""
    if precision != 'tf32':
        return
    try:
        torch.get_float32_matmul_precision()
    except RuntimeError:
        raise ValueError(
            "'precision' must not be 'tf32' if the process has set "
            'torch.backends.*.fp32_precision, which cannot be combined with '
            "torch.set_float32_matmul_precision: use '32-true', which keeps the "
            'setting'
        ) from None
