"""The products of :obj:`intent_propagate_fused` in one kernel forward and two backward:
one program per row, which reads its neighbours where they lie."""

from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels._load_triton import load_triton

MAX_DIM = 512


def forward(
    x: Tensor, h: Tensor, rowptr: Tensor, col: Tensor, weight: Optional[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The mean over the sources of every row, what each edge counts in it, and what
    all edges of a row count together. All floats have one dtype.

    Shapes:
        - **x:** :math:`(N, F)`, **h:** :math:`(N, G)`, unit rows
        - **rowptr:** :math:`(N + 1)`, **col**, **weight:** :math:`(E)`
        - **output:** :math:`(N, F)`, :math:`(E)`, :math:`(N)`

    Raises:
        ValueError: If a row is wider than 512, or is not on a CUDA device.
        ImportError: If Triton is not installed.
    """
    kernels = load_triton('_triton_intent_propagate', x)
    x, h = x.contiguous(), h.contiguous()
    out = torch.empty_like(x)
    alpha, total = x.new_empty(col.size(0)), x.new_empty(x.size(0))
    with torch.cuda.device_of(x):
        kernels.forward_kernel[(x.size(0),)](
            x,
            h,
            rowptr,
            col,
            weight,
            out,
            alpha,
            total,
            weight is not None,
            **_options(x, h, col),
        )
    return out, alpha, total


def backward(
    grad_out: Tensor,
    x: Tensor,
    h: Tensor,
    out: Tensor,
    alpha: Tensor,
    total: Tensor,
    rowptr: Tensor,
    col: Tensor,
    t_rowptr: Tensor,
    t_col: Tensor,
    t_perm: Tensor,
    weight: Optional[Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The gradients by :obj:`x`, :obj:`h` and :obj:`weight`, the last one empty where
    there are no weights. The edges of the transposed graph,
    :obj:`t_rowptr` and :obj:`t_col`, lie in :obj:`col` where :obj:`t_perm` points."""
    kernels = load_triton('_triton_intent_propagate', x)
    grad_out, x, h = grad_out.contiguous(), x.contiguous(), h.contiguous()
    grad_x, grad_h = torch.empty_like(x), torch.empty_like(h)
    slope = torch.empty_like(alpha)
    grad_weight = x.new_empty(0 if weight is None else col.size(0))
    grid, options = (x.size(0),), _options(x, h, col)
    with torch.cuda.device_of(x):
        kernels.target_kernel[grid](
            grad_out,
            x,
            h,
            out.contiguous(),
            total,
            rowptr,
            col,
            weight,
            slope,
            grad_h,
            grad_weight,
            weight is not None,
            **options,
        )
        kernels.source_kernel[grid](
            grad_out,
            h,
            alpha,
            total,
            t_rowptr,
            t_col,
            t_perm,
            slope,
            grad_x,
            grad_h,
            **options,
        )
    return grad_x, grad_h, grad_weight


def _options(x: Tensor, h: Tensor, col: Tensor) -> dict[str, Any]:
    r"""Widths, and a block of about as many edges as a row has, with 32 values a
    thread."""
    dims = x.size(1), h.size(1)
    if max(dims) > MAX_DIM:
        raise ValueError(
            f"impl='triton' takes rows of at most {MAX_DIM} values, got {max(dims)}: "
            'take another impl'
        )
    width, h_width = (max(16, _next_power_of_2(dim)) for dim in dims)
    widest = max(width, h_width)
    degree = _next_power_of_2(max(1, col.size(0) // max(1, x.size(0))))
    block = min(max(degree, 512 // widest, 4), max(4096 // widest, 4), 64)
    return {
        'DIM': dims[0],
        'H_DIM': dims[1],
        'WIDTH': width,
        'H_WIDTH': h_width,
        'BLOCK': block,
        'num_warps': max(1, block * widest // 1024),
        'enable_fp_fusion': True,
    }


def _next_power_of_2(value: int) -> int:
    return 1 << (value - 1).bit_length()
