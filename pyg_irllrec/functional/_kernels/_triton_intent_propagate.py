"""The Triton kernels of :obj:`intent_propagate_triton`. Importing this imports
Triton."""

# Triton may be missing where types are checked, and its functions take pointers.
# mypy: disable-error-code="import, no-untyped-def, untyped-decorator"
from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load_row(x, row, DIM: tl.constexpr, WIDTH: tl.constexpr):
    columns = tl.arange(0, WIDTH)
    return tl.load(x + row * DIM + columns, mask=columns < DIM, other=0.0)


@triton.jit
def store_row(x, row, value, DIM: tl.constexpr, WIDTH: tl.constexpr):
    columns = tl.arange(0, WIDTH)
    tl.store(x + row * DIM + columns, value, mask=columns < DIM)


@triton.jit
def gather_rows(x, rows, inside, DIM: tl.constexpr, WIDTH: tl.constexpr):
    columns = tl.arange(0, WIDTH)
    inside = inside[:, None] & (columns < DIM)[None, :]
    return tl.load(x + rows[:, None] * DIM + columns[None, :], mask=inside, other=0.0)


@triton.jit
def forward_kernel(
    x,
    h,
    rowptr,
    col,
    weight,
    out,
    alpha,
    total,
    HAS_WEIGHT: tl.constexpr,
    DIM: tl.constexpr,
    H_DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    H_WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    r"""The output of a target. Sums are taken across the edges of a block only once."""
    dtype: tl.constexpr = x.dtype.element_ty
    # In 64 bits: there may be more than 2**31 values.
    row = tl.program_id(0).to(tl.int64)
    end = tl.load(rowptr + row + 1)
    h_row = load_row(h, row, H_DIM, H_WIDTH)
    sums = tl.zeros([BLOCK, WIDTH], dtype)
    totals = tl.zeros([BLOCK], dtype)
    for start in range(tl.load(rowptr + row), end, BLOCK):
        edge = start + tl.arange(0, BLOCK)
        inside = edge < end
        source = tl.load(col + edge, mask=inside, other=0).to(tl.int64)
        h_source = gather_rows(h, source, inside, H_DIM, H_WIDTH)
        value = (tl.sum(h_source * h_row[None, :], axis=1) + 1) / 2
        value = tl.where(value < 0, 0.0, value)  # Rounding of opposite intents.
        if HAS_WEIGHT:
            value *= tl.load(weight + edge, mask=inside, other=0.0)
        tl.store(alpha + edge, value, mask=inside)
        value = tl.where(inside, value, 0.0)
        sums += value[:, None] * gather_rows(x, source, inside, DIM, WIDTH)
        totals += value
    sum_all = tl.sum(totals, axis=0)
    tl.store(total + row, sum_all)
    mean = tl.sum(sums, axis=0) / tl.where(sum_all == 0, 1.0, sum_all)
    store_row(out, row, mean, DIM, WIDTH)


@triton.jit
def target_kernel(
    grad_out,
    x,
    h,
    out,
    total,
    rowptr,
    col,
    weight,
    slope,
    grad_h,
    grad_weight,
    HAS_WEIGHT: tl.constexpr,
    DIM: tl.constexpr,
    H_DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    H_WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    r"""What a target sends back to its own intent, and the gradients by the cosines
    and weights of its edges."""
    dtype: tl.constexpr = x.dtype.element_ty
    row = tl.program_id(0).to(tl.int64)
    end = tl.load(rowptr + row + 1)
    h_row = load_row(h, row, H_DIM, H_WIDTH)
    grad_row = load_row(grad_out, row, DIM, WIDTH)
    mean = tl.sum(grad_row * load_row(out, row, DIM, WIDTH), axis=0)
    sum_all = tl.load(total + row)
    scale = 1.0 / tl.where(sum_all == 0, 1.0, sum_all)
    sums = tl.zeros([BLOCK, H_WIDTH], dtype)
    for start in range(tl.load(rowptr + row), end, BLOCK):
        edge = start + tl.arange(0, BLOCK)
        inside = edge < end
        source = tl.load(col + edge, mask=inside, other=0).to(tl.int64)
        h_source = gather_rows(h, source, inside, H_DIM, H_WIDTH)
        x_source = gather_rows(x, source, inside, DIM, WIDTH)
        value = (tl.sum(x_source * grad_row[None, :], axis=1) - mean) * scale
        closeness = (tl.sum(h_source * h_row[None, :], axis=1) + 1) / 2
        closeness = tl.where(closeness < 0, 0.0, closeness)
        if HAS_WEIGHT:
            tl.store(grad_weight + edge, value * closeness, mask=inside)
            value *= tl.load(weight + edge, mask=inside, other=0.0)
        value = tl.where(closeness > 0, value / 2, 0.0)
        tl.store(slope + edge, value, mask=inside)
        # Rows beyond the end are zeros: there is nothing to mask.
        sums += value[:, None] * h_source
    store_row(grad_h, row, tl.sum(sums, axis=0), H_DIM, H_WIDTH)


@triton.jit
def source_kernel(
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
    DIM: tl.constexpr,
    H_DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    H_WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    r"""What a source gets from all its targets. Its intent has a gradient as a target
    already, which no other program reads."""
    dtype: tl.constexpr = h.dtype.element_ty
    row = tl.program_id(0).to(tl.int64)
    end = tl.load(t_rowptr + row + 1)
    sums = tl.zeros([BLOCK, WIDTH], dtype)
    h_sums = tl.zeros([BLOCK, H_WIDTH], dtype)
    for start in range(tl.load(t_rowptr + row), end, BLOCK):
        position = start + tl.arange(0, BLOCK)
        inside = position < end
        target = tl.load(t_col + position, mask=inside, other=0).to(tl.int64)
        edge = tl.load(t_perm + position, mask=inside, other=0).to(tl.int64)
        sum_all = tl.load(total + target, mask=inside, other=1.0)
        share = tl.load(alpha + edge, mask=inside, other=0.0)
        share = share / tl.where(sum_all == 0, 1.0, sum_all)
        value = tl.load(slope + edge, mask=inside, other=0.0)
        grad_target = gather_rows(grad_out, target, inside, DIM, WIDTH)
        h_target = gather_rows(h, target, inside, H_DIM, H_WIDTH)
        sums += share[:, None] * grad_target
        h_sums += value[:, None] * h_target
    store_row(grad_x, row, tl.sum(sums, axis=0), DIM, WIDTH)
    own = load_row(grad_h, row, H_DIM, H_WIDTH)
    store_row(grad_h, row, own + tl.sum(h_sums, axis=0), H_DIM, H_WIDTH)
