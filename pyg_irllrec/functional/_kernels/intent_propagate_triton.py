"""The products of :obj:`intent_propagate_fused` in fused kernels: a program per row, or
per part of a long one, reads its neighbours where they lie.

An edge costs two gathered rows forward. Backward it costs three where the graph is
undirected and has no weights (intent, features and gradient of the other end), else
twice two: as a target (intent and features) and as a source (intent and gradient).
What an edge counts is computed anew, as its intents are read anyway."""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels._load_triton import load_triton

MAX_DIM = 512
# Edges of one program, at least, where a row has more of them.
LEAST_SPLIT = 256
# So many shares of the edges are looked through for long rows, nearly.
MOST_SHARES = 2**14
TILES = {'forward': (1024, 1), 'backward': (512, 1)}
"""The values of one table that are gathered at once, and the warps that hold them. At
these a program of rows of 32 to 128 values needs at most 96 registers on sm_80 and
sm_90, so that 21 share a multiprocessor, each with 6 to 8 KB on its way."""
FUSED = {'enable_fp_fusion': True}  # Triton warns where it is not given.


def forward(
    x: Tensor, intent: Tensor, rowptr: Tensor, col: Tensor, weight: Optional[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    r"""The mean over the sources of every row, unit intents, what these were multiplied
    with, nothing by edge, and what all edges of a row count together. All floats have
    one dtype.

    Shapes:
        - **x:** :math:`(N, F)`, **intent:** :math:`(N, G)`
        - **rowptr:** :math:`(N + 1)`, **col**, **weight:** :math:`(E)`
        - **output:** :math:`(N, F)`, :math:`(N, G)`, :math:`(N, 1)`, :math:`(0)`,
          :math:`(N)`

    Raises:
        ValueError: If a row is wider than 512, or is not on a CUDA device.
        ImportError: If Triton is not installed.
    """
    kernels = load_triton('_triton_intent_propagate', x)
    widths = _widths(x, intent)
    out, h = torch.empty_like(x), torch.empty_like(intent)
    inverse, total = x.new_empty(x.size(0), 1), x.new_empty(x.size(0))
    split = _split(col.size(0))
    num_chunks = -(-col.size(0) // split)
    partial = x.new_empty(2 * num_chunks, x.size(1))
    partial_total = x.new_empty(2 * num_chunks)
    sizes = x.size(0), col.size(0)
    with torch.cuda.device_of(x):
        kernels.unit_kernel[_row_grid(h)](intent, h, inverse, *_rows(h), **FUSED)
        kernels.forward_kernel[(2 * num_chunks + x.size(0),)](
            x,
            h,
            rowptr,
            col,
            weight,
            out,
            total,
            partial,
            partial_total,
            *sizes,
            HAS_WEIGHT=weight is not None,
            **widths,
            **_tile('forward', widths, *sizes),
        )
        if col.size(0) > split:
            kernels.forward_sum_kernel[(num_chunks,)](
                rowptr,
                out,
                total,
                partial,
                partial_total,
                *sizes,
                DIM=widths['DIM'],
                WIDTH=widths['WIDTH'],
                **_tile('forward', widths, *sizes),
            )
    return out, h, inverse, x.new_empty(0), total


def backward(
    grad_out: Tensor,
    x: Tensor,
    h: Tensor,
    inverse: Tensor,
    out: Tensor,
    total: Tensor,
    rowptr: Tensor,
    col: Tensor,
    t_rowptr: Tensor,
    t_col: Tensor,
    t_perm: Tensor,
    weight: Optional[Tensor],
    symmetric: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The gradients by features, intents and :obj:`weight`, the last one empty where
    there are no weights. The edges of the transposed graph, :obj:`t_rowptr` and
    :obj:`t_col`, lie in :obj:`col` where :obj:`t_perm` points."""
    kernels = load_triton('_triton_intent_propagate', x)
    grad, below = torch.empty_like(x), torch.empty_like(total)
    grad_x, grad_h = torch.empty_like(x), torch.empty_like(h)
    grad_weight = x.new_empty(0 if weight is None else col.size(0))
    widths = _widths(x, h)
    sizes = x.size(0), col.size(0)
    tile = _tile('backward', widths, *sizes)
    split = _split(col.size(0))
    num_chunks = -(-col.size(0) // split)
    partial_x, partial_h = (x.new_empty(2 * num_chunks, y.size(1)) for y in (x, h))

    def both_ends(
        rowptr: Tensor, col: Tensor, is_target: bool, is_source: bool
    ) -> None:
        ends = {'IS_TARGET': is_target, 'IS_SOURCE': is_source, **widths, **tile}
        kernels.backward_kernel[(2 * num_chunks + x.size(0),)](
            grad,
            below,
            x,
            h,
            inverse,
            rowptr,
            col,
            t_perm,
            weight,
            grad_x,
            grad_h,
            grad_weight,
            partial_x,
            partial_h,
            *sizes,
            HAS_WEIGHT=weight is not None,
            **ends,
        )
        if col.size(0) > split:
            kernels.backward_sum_kernel[(num_chunks,)](
                h,
                inverse,
                rowptr,
                grad_x,
                grad_h,
                partial_x,
                partial_h,
                *sizes,
                **ends,
            )

    with torch.cuda.device_of(x):
        kernels.upstream_kernel[_row_grid(x)](
            grad_out, out, total, grad, below, *_rows(x), **FUSED
        )
        if symmetric:
            both_ends(rowptr, col, True, True)
        else:
            both_ends(rowptr, col, True, False)
            both_ends(t_rowptr, t_col, False, True)
    return grad_x, grad_h, grad_weight


def _widths(x: Tensor, h: Tensor) -> dict[str, int]:
    dims = x.size(1), h.size(1)
    if max(dims) > MAX_DIM:
        raise ValueError(
            f"impl='triton' takes rows of at most {MAX_DIM} values, got {max(dims)}: "
            'take another impl'
        )
    width, h_width = (_width(dim) for dim in dims)
    return {'DIM': dims[0], 'H_DIM': dims[1], 'WIDTH': width, 'H_WIDTH': h_width}


def _tile(
    name: str, widths: dict[str, int], num_rows: int, num_edges: int
) -> dict[str, int]:
    r"""Edges at once, no more than a row has on average, and the warps for them."""
    values, num_warps = TILES[name]
    widest = max(widths['WIDTH'], widths['H_WIDTH'])
    degree = _next_power_of_2(max(1, num_edges // max(1, num_rows)))
    block = max(4, min(degree, 64, values // widest))
    num_warps = max(num_warps, block * widest // 1024)
    return {'BLOCK': block, 'SPLIT': _split(num_edges), 'num_warps': num_warps, **FUSED}


def _split(num_edges: int) -> int:
    return max(LEAST_SPLIT, _next_power_of_2(max(1, num_edges // MOST_SHARES)))


def _row_grid(x: Tensor) -> tuple[int]:
    rows = max(1, 2048 // _width(x.size(1)))
    return (-(-x.size(0) // rows),)


def _rows(x: Tensor) -> tuple[int, int, int, int]:
    width = _width(x.size(1))
    return x.size(0), x.size(1), width, max(1, 2048 // width)


def _width(dim: int) -> int:
    return max(16, _next_power_of_2(dim))


def _next_power_of_2(value: int) -> int:
    return 1 << (value - 1).bit_length()
