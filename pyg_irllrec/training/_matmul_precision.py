from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    r"""Let products of float32 matrices take TensorFloat-32 while a run with
    :obj:`precision="tf32"` lasts; other runs keep what the process has chosen."""
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
    r"""Raise a :class:`ValueError` where torch cannot state its matmul precision, to
    which a run would have to return."""
    if precision != 'tf32':
        return
    try:
        torch.get_float32_matmul_precision()
    except RuntimeError:
        raise ValueError(
            "'precision' must not be 'tf32' where the process has chosen by "
            'torch.backends.*.fp32_precision, which torch does not mix with '
            "torch.set_float32_matmul_precision: take '32-true', which follows that "
            'choice'
        ) from None
