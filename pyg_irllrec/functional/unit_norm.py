from __future__ import annotations

import torch
from torch import Tensor

from pyg_irllrec.utils.checks import check_not_negative


def unit_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    r"""Rows of unit length, smooth at zero:
    :math:`n(\mathbf{x}) = \mathbf{x} / \sqrt{\epsilon + \|\mathbf{x}\|^2}`.

    A row of zeros stays a row of zeros and has a finite gradient. A :obj:`float32` row
    longer than about :math:`10^{19}`, whose square is no float, becomes one of zeros.

    Args:
        x (torch.Tensor): The rows, of shape :math:`(*, d)`.
        eps (float): :math:`\epsilon`. (default: :obj:`1e-8`, the authors')

    Raises:
        ValueError: If a shape, dtype or option is not as above.
    """
    is_dense = isinstance(x, Tensor) and x.layout is torch.strided
    if not is_dense or x.dim() == 0 or not x.is_floating_point():
        got = f'{x.dtype}, {x.layout}' if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(
            f"'x' must be a dense tensor of rows of floating-point numbers, got {got}"
        )
    if type(eps) is not float or not 0 <= eps < 1:  # No call where it is all right.
        check_not_negative('eps', eps)
    wide = x if x.dtype.itemsize >= 4 else x.float()  # Half precision has no 1e-8.
    inverse = (eps + wide.square().sum(dim=-1, keepdim=True)).rsqrt()
    return (wide * inverse).to(x.dtype)
