"""Sums of losses and of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from torch import Tensor


def reduce_rows(
    loss: Tensor, reduction: str, weight: Optional[Tensor] = None
) -> Tensor:
    r"""Applies a checked :obj:`reduction` to the weighted losses of rows."""
    if weight is not None:
        weight = weight.to(loss.dtype)  # Half precision cannot sum it.
        loss = loss * weight
        if reduction == 'mean':
            return loss.sum() / weight.sum()
    if reduction == 'mean':
        return loss.mean()
    return loss.sum() if reduction == 'sum' else loss


def row_scale(rows: Tensor, weight: Optional[Tensor], reduction: str) -> Tensor:
    r"""What each row counts in the weighted :obj:`"sum"` or :obj:`"mean"`."""
    scale = rows.new_ones(rows.size(0)) if weight is None else weight.to(rows.dtype)
    return scale / scale.sum() if reduction == 'mean' else scale


def sum_tensors(tensors: Sequence[Tensor]) -> Tensor:
    r"""The sum of tensors, without a copy of them all beside each other."""
    return sum(tensors[1:], tensors[0])
