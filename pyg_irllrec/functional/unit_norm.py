from __future__ import annotations

from torch import Tensor


def unit_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    r"""Rows of unit length, smooth at zero:
    :math:`n(\mathbf{x}) = \mathbf{x} / \sqrt{\epsilon + \|\mathbf{x}\|^2}`.

    A row of zeros stays a row of zeros and has a finite gradient.

    Args:
        x (torch.Tensor): The rows, of shape :math:`(*, d)`.
        eps (float): :math:`\epsilon`. (default: :obj:`1e-8`, the authors')
    """
    wide = x if x.dtype.itemsize >= 4 else x.float()  # Half precision has no 1e-8.
    inverse = (eps + wide.square().sum(dim=-1, keepdim=True)).rsqrt()
    return (wide * inverse).to(x.dtype)
