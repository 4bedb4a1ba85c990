r"""The products of :obj:`intent_propagate_fused` in fused kernels, with one program per
row or per part of a long row.

The forward pass gathers two rows per edge. The backward pass gathers three rows per
edge (intent, features and gradient of the other end) if the graph is undirected and has
no weights, else four: intent and features for the target, and intent and gradient for
the source. The weights of edges are recomputed, because their intents are read
anyway."""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels._load_triton import load_triton

MAX_DIM = 512
# The minimum number of edges per part of a long row.
LEAST_SPLIT = 256
# The approximate maximum number of chunks of edges that are searched for long rows.
MOST_CHUNKS = 2**14
TILES = {'forward': (1024, 1), 'backward': (512, 1)}
"""The number of values that are gathered from one table at once, and the number of
warps. With these, a program for rows of 32 to 128 values needs at most 96 registers on
sm_80 and sm_90, so that 21 programs share a multiprocessor, each with 6 to 8 KB in
flight."""
FUSED = {'enable_fp_fusion': True}  # Triton warns if it is not set.


def forward(
    x: Tensor, intent: Tensor, rowptr: Tensor, col: Tensor, weight: Optional[Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    r"""The mean over the sources of every row, the unit intents, the inverse norms that
    these were multiplied by, an empty tensor instead of edge weights, and the sum of
    the weights of each row. All floats must have the same dtype.

    Shapes:
        - **x:** :math:`(N, F)`, **intent:** :math:`(N, G)`
        - **rowptr:** :math:`(N + 1)`, **col**, **weight:** :math:`(E)`
        - **output:** :math:`(N, F)`, :math:`(N, G)`, :math:`(N, 1)`, :math:`(0)`,
          :math:`(N)`

    Raises:
        ValueError: If rows are wider than 512 or not on a CUDA device.
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
    r"""The gradients with respect to features, intents and :obj:`weight`, the last one
    empty without weights. :obj:`t_rowptr` and :obj:`t_col` are the edges of the
    transposed graph, and :obj:`t_perm` their positions in :obj:`col`."""
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
            f"impl='triton' needs rows of at most {MAX_DIM} values, got {max(dims)}: "
            'use another impl'
        )
    width, h_width = (_width(dim) for dim in dims)
    return {'DIM': dims[0], 'H_DIM': dims[1], 'WIDTH': width, 'H_WIDTH': h_width}


def _tile(
    name: str, widths: dict[str, int], num_rows: int, num_edges: int
) -> dict[str, int]:
    r"""The number of edges to process at once, at most the average degree, and the
    number of warps."""
    values, num_warps = TILES[name]
    widest = max(widths['WIDTH'], widths['H_WIDTH'])
    degree = _next_power_of_2(max(1, num_edges // max(1, num_rows)))
    block = max(4, min(degree, 64, values // widest))
    num_warps = max(num_warps, block * widest // 1024)
    return {'BLOCK': block, 'SPLIT': _split(num_edges), 'num_warps': num_warps, **FUSED}


def _split(num_edges: int) -> int:
    return max(LEAST_SPLIT, _next_power_of_2(max(1, num_edges // MOST_CHUNKS)))


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
