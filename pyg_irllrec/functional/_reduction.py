"""Sums of losses and of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor


def reduce_rows(
    loss: Tensor, reduction: str, weight: Optional[Tensor] = None
) -> Tensor:
    r"""Apply a checked :obj:`reduction` to the weighted losses of rows."""
    if reduction == 'mean':
        if weight is None:
            return loss.mean()
        weight = over_largest(weight, loss.dtype)
        return (loss * weight).sum() / weight.sum()
    if weight is not None:
        loss = loss * weight.to(loss.dtype)
    return loss.sum() if reduction == 'sum' else loss


def row_scale(rows: Tensor, weight: Optional[Tensor], reduction: str) -> Tensor:
    r"""What each row counts in the weighted :obj:`"sum"` or :obj:`"mean"`."""
    if weight is None:
        size = 1 / rows.size(0) if reduction == 'mean' else 1.0
        return rows.new_full((rows.size(0),), size)
    if reduction != 'mean':
        return weight.to(rows.dtype)
    weight = over_largest(weight, rows.dtype)
    return weight / weight.sum()


def over_largest(weight: Tensor, dtype: torch.dtype) -> Tensor:
    r"""Weights as multiples of the largest: the sum of huge ones is infinite."""
    wide = weight.to(torch.promote_types(weight.dtype, dtype))
    return (wide / wide.detach().amax()).to(dtype)


def sum_tensors(tensors: Sequence[Tensor]) -> Tensor:
    r"""The sum of tensors, without a copy of them all beside each other."""
    return sum(tensors[1:], tensors[0])
