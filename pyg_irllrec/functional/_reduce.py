"""What every loss needs at its two ends: a sound dtype and a reduction."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    r"""Half precision becomes :obj:`float32`; wider types stay."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def reduce_rows(loss: Tensor, reduction: str) -> Tensor:
    r"""Applies a checked :obj:`reduction` to the losses of rows."""
    if reduction == 'mean':
        return loss.mean()
    return loss.sum() if reduction == 'sum' else loss
