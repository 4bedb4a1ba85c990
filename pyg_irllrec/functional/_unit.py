"""Unit rows and their gradient by hand, without copies that autograd would keep."""

from __future__ import annotations

import torch
from torch import Tensor


def unit(x: Tensor) -> tuple[Tensor, Tensor]:
    r"""Unit rows as in :func:`~pyg_irllrec.functional.unit_norm`, and what they were
    multiplied with."""
    norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    inverse = norm.square_().add_(1e-8).rsqrt_()
    return x * inverse, inverse


def through_unit(grad: Tensor, unit: Tensor, inverse: Tensor) -> None:
    r"""Turn a gradient by unit rows into one by rows, in place:
    :math:`(\mathbf{g} - (\mathbf{g}^{\top} \mathbf{n}) \mathbf{n}) r`."""
    along = (grad * unit).sum(dim=1, keepdim=True)
    grad.addcmul_(along, unit, value=-1).mul_(inverse)
