r"""Unit rows and their hand-written gradient, without the copies of autograd."""

from __future__ import annotations

import torch
from torch import Tensor


def unit(x: Tensor) -> tuple[Tensor, Tensor]:
    r"""Unit rows as in :func:`~pyg_irllrec.functional.unit_norm`, and the inverse norms
    that they were multiplied by."""
    norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    inverse = norm.square_().add_(1e-8).rsqrt_()
    return x * inverse, inverse


def unit_backward(grad: Tensor, unit: Tensor, inverse: Tensor) -> None:
    r"""Convert the gradient of unit rows to the gradient of rows, in place:
    :math:`(\mathbf{g} - (\mathbf{g}^{\top} \mathbf{n}) \mathbf{n}) r`."""
    along = (grad * unit).sum(dim=1, keepdim=True)
    grad.addcmul_(along, unit, value=-1).mul_(inverse)
