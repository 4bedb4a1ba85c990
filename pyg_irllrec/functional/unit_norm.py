from __future__ import annotations

import torch
from torch import Tensor

from pyg_irllrec.utils.checks import check_not_negative


def unit_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    r"""Scale rows to unit length, smoothly at zero:
    :math:`n(\mathbf{x}) = \mathbf{x} / \sqrt{\epsilon + \|\mathbf{x}\|^2}`.

    A row of zeros stays zero and has a finite gradient. A :obj:`float32` row longer
    than about :math:`10^{19}` becomes zero, because its squared norm overflows.

    Args:
        x (torch.Tensor): The rows, of shape :math:`(*, d)`.
        eps (float): The constant :math:`\epsilon`.
            (default: :obj:`1e-8`, as in the authors' code)

    Raises:
        ValueError: If an argument has an invalid shape, dtype or value.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import unit_norm
        >>> unit_norm(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    is_dense = isinstance(x, Tensor) and x.layout is torch.strided
    if not is_dense or x.dim() == 0 or not x.is_floating_point():
        got = f'{x.dtype}, {x.layout}' if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(
            f"'x' must be a dense tensor of rows of floating-point numbers, got {got}"
        )
    if type(eps) is not float or not 0 <= eps < 1:  # Saves a call in the common case.
        check_not_negative('eps', eps)
    wide = x if x.dtype.itemsize >= 4 else x.float()  # 1e-8 underflows as float16.
    inverse = (eps + wide.square().sum(dim=-1, keepdim=True)).rsqrt()
    return (wide * inverse).to(x.dtype)
