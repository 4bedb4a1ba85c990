r"""Reductions of losses and of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor


def reduce_rows(
    loss: Tensor, reduction: str, weight: Optional[Tensor] = None
) -> Tensor:
    r"""Reduce the (weighted) losses of rows by a valid :obj:`reduction`."""
    if reduction == 'mean':
        if weight is None:
            return loss.mean()
        weight = over_largest(weight, loss.dtype)
        return (loss * weight).sum() / weight.sum()
    if weight is not None:
        loss = loss * weight.to(loss.dtype)
    return loss.sum() if reduction == 'sum' else loss


def row_scale(rows: Tensor, weight: Optional[Tensor], reduction: str) -> Tensor:
    r"""The factor of each row in the (weighted) sum or mean."""
    if weight is None:
        size = 1 / rows.size(0) if reduction == 'mean' else 1.0
        return rows.new_full((rows.size(0),), size)
    if reduction != 'mean':
        return weight.to(rows.dtype)
    weight = over_largest(weight, rows.dtype)
    return weight / weight.sum()


def over_largest(weight: Tensor, dtype: torch.dtype) -> Tensor:
    r"""Divide weights by the largest, because a sum of huge weights overflows."""
    wide = weight.to(torch.promote_types(weight.dtype, dtype))
    return (wide / wide.detach().amax()).to(dtype)


def sum_tensors(tensors: Sequence[Tensor]) -> Tensor:
    r"""The sum of tensors, without stacking them first."""
    return sum(tensors[1:], tensors[0])
