r"""The Triton kernels of :obj:`intent_propagate_triton`. Importing this module imports
Triton."""

# Triton may not be installed for the type check, and its functions take pointers.
# mypy: disable-error-code="import, no-untyped-def, untyped-decorator"
from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load_row(x, row, DIM: tl.constexpr, WIDTH: tl.constexpr):
    columns = tl.arange(0, WIDTH)
    return tl.load(x + row * DIM + columns, mask=columns < DIM, other=0.0)


@triton.jit
def store_row(x, row, value, is_mine, DIM: tl.constexpr, WIDTH: tl.constexpr):
    columns = tl.arange(0, WIDTH)
    # The interpreter cannot combine a mask with a scalar.
    tl.store(x + row * DIM + columns, value, mask=columns < tl.where(is_mine, DIM, 0))


@triton.jit
def gather_rows(x, rows, inside, DIM: tl.constexpr, WIDTH: tl.constexpr):
    columns = tl.arange(0, WIDTH)
    inside = inside[:, None] & (columns < DIM)[None, :]
    return tl.load(x + rows[:, None] * DIM + columns[None, :], mask=inside, other=0.0)


@triton.jit
def load_ids(col, start, end, BLOCK: tl.constexpr):
    edge = start + tl.arange(0, BLOCK)
    return tl.load(col + edge, mask=edge < end, other=0)


@triton.jit
def unit_kernel(
    x,
    out,
    inverse,
    num_rows,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
):
    r"""Unit rows, and the inverse norms that they were multiplied by."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    inside = row < num_rows
    value = gather_rows(x, row, inside, DIM, WIDTH)
    factor = tl.rsqrt(tl.sum(value * value, axis=1) + 1e-8)
    tl.store(inverse + row, factor, mask=inside)
    columns = tl.arange(0, WIDTH)
    inside = inside[:, None] & (columns < DIM)[None, :]
    place = out + row[:, None] * DIM + columns[None, :]
    tl.store(place, value * factor[:, None], mask=inside)


@triton.jit
def upstream_kernel(
    grad_out,
    out,
    total,
    grad,
    below,
    num_rows,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
):
    r"""The gradient of each row divided by the total weight of its edges, and its inner
    product with the output."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    inside = row < num_rows
    sum_all = tl.load(total + row, mask=inside, other=1.0)
    value = gather_rows(grad_out, row, inside, DIM, WIDTH)
    value /= tl.where(sum_all == 0, 1.0, sum_all)[:, None]
    mean = gather_rows(out, row, inside, DIM, WIDTH)
    tl.store(below + row, tl.sum(value * mean, axis=1), mask=inside)
    columns = tl.arange(0, WIDTH)
    inside = inside[:, None] & (columns < DIM)[None, :]
    tl.store(grad + row[:, None] * DIM + columns[None, :], value, mask=inside)


@triton.jit
def find_row(rowptr, edge, num_rows):
    r"""The row that an edge belongs to."""
    low = edge * 0
    high = low + num_rows
    while high - low > 1:
        middle = (low + high) // 2
        is_above = tl.load(rowptr + middle) <= edge
        low = tl.where(is_above, middle, low)
        high = tl.where(is_above, high, middle)
    return low


@triton.jit
def find_work(rowptr, num_rows, num_edges, SPLIT: tl.constexpr):
    r"""The row and the edges of a program, whether they are only a part of the row, and
    whether there is anything to do.

    A row of more than ``SPLIT`` edges would keep one program busy after all others have
    finished. So the edges of all rows are cut into chunks of ``SPLIT`` edges, with two
    programs per chunk: the first takes the edges of the long row that the chunk starts
    in, the second those of a long row that begins later in the chunk. There cannot be
    more long rows in a chunk. These programs come first, then one program per row. The
    host does not need the degrees.
    """
    program = tl.program_id(0)
    num_parts = 2 * tl.cdiv(num_edges, SPLIT)
    is_part = program < num_parts
    start = (program // 2).to(tl.int64) * SPLIT
    stop = tl.minimum(start + SPLIT, num_edges)
    row = (program - num_parts).to(tl.int64)
    if is_part:
        row = find_row(rowptr, tl.where(program % 2 == 0, start, stop - 1), num_rows)
    begin = tl.load(rowptr + row).to(tl.int64)
    end = tl.load(rowptr + row + 1).to(tl.int64)
    is_mine = end - begin <= SPLIT
    if is_part:
        is_mine = (end - begin > SPLIT) & ((program % 2 == 0) | (begin > start))
        begin = tl.maximum(begin, start)
        end = tl.minimum(end, stop)
    end = tl.where(is_mine, end, begin)
    return row, begin, end, is_part, is_mine


@triton.jit
def find_parts(rowptr, num_rows, num_edges, SPLIT: tl.constexpr):
    r"""The long row that begins in the chunk of this program (at most one does), the
    range of its parts, the program of :obj:`find_work` with the first part, and whether
    there is such a row."""
    chunk = tl.program_id(0).to(tl.int64)
    start = chunk * SPLIT
    row = find_row(rowptr, tl.minimum(start + SPLIT, num_edges) - 1, num_rows)
    begin = tl.load(rowptr + row).to(tl.int64)
    end = tl.load(rowptr + row + 1).to(tl.int64)
    is_mine = (end - begin > SPLIT) & (begin >= start)
    stop = tl.where(is_mine, (end - 1) // SPLIT + 1, chunk)
    first = 2 * chunk + tl.where(begin > start, 1, 0)
    return row, chunk, stop, first, is_mine


@triton.jit
def finish_forward(
    out, total, row, sums, sum_all, is_mine, DIM: tl.constexpr, WIDTH: tl.constexpr
):
    tl.store(total + row, sum_all, mask=is_mine)
    mean = sums / tl.where(sum_all == 0, 1.0, sum_all)
    store_row(out, row, mean, is_mine, DIM, WIDTH)


@triton.jit(do_not_specialize=['num_rows', 'num_edges'])
def forward_kernel(
    x,
    h,
    rowptr,
    col,
    weight,
    out,
    total,
    partial,
    partial_total,
    num_rows,
    num_edges,
    HAS_WEIGHT: tl.constexpr,
    DIM: tl.constexpr,
    H_DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    H_WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
    SPLIT: tl.constexpr,
):
    r"""The output of a target, or the sums over a part of its edges."""
    dtype: tl.constexpr = x.dtype.element_ty
    # 64-bit offsets, because there may be more than 2**31 values.
    row, begin, end, is_part, is_mine = find_work(rowptr, num_rows, num_edges, SPLIT)
    h_row = load_row(h, row, H_DIM, H_WIDTH)
    sums = tl.zeros([WIDTH], dtype)
    totals = tl.zeros([BLOCK], dtype)
    following = load_ids(col, begin, end, BLOCK)
    for start in range(begin, end, BLOCK):
        source = following.to(tl.int64)
        # Prefetched while the rows of the current edges are loaded.
        following = load_ids(col, start + BLOCK, end, BLOCK)
        edge = start + tl.arange(0, BLOCK)
        inside = edge < end
        h_source = gather_rows(h, source, inside, H_DIM, H_WIDTH)
        x_source = gather_rows(x, source, inside, DIM, WIDTH)
        value = (tl.sum(h_source * h_row[None, :], axis=1) + 1) / 2
        value = tl.where(value < 0, 0.0, value)  # Opposite intents can round below 0.
        if HAS_WEIGHT:
            value *= tl.load(weight + edge, mask=inside, other=0.0)
        value = tl.where(inside, value, 0.0)
        sums += tl.sum(value[:, None] * x_source, axis=0)
        totals += value
    sum_all = tl.sum(totals, axis=0)
    if is_part:
        program = tl.program_id(0).to(tl.int64)
        tl.store(partial_total + program, sum_all, mask=is_mine)
        store_row(partial, program, sums, is_mine, DIM, WIDTH)
    else:
        finish_forward(out, total, row, sums, sum_all, is_mine, DIM, WIDTH)


@triton.jit(do_not_specialize=['num_rows', 'num_edges'])
def forward_sum_kernel(
    rowptr,
    out,
    total,
    partial,
    partial_total,
    num_rows,
    num_edges,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
    SPLIT: tl.constexpr,
):
    r"""The output of a long row from its parts, in their order."""
    dtype: tl.constexpr = out.dtype.element_ty
    row, chunk, stop, first, is_mine = find_parts(rowptr, num_rows, num_edges, SPLIT)
    sums = tl.zeros([WIDTH], dtype)
    totals = tl.zeros([BLOCK], dtype)
    for start in range(chunk, stop, BLOCK):
        part = start + tl.arange(0, BLOCK)
        inside = part < stop
        place = tl.where(part == chunk, first, 2 * part)
        totals += tl.load(partial_total + place, mask=inside, other=0.0)
        sums += tl.sum(gather_rows(partial, place, inside, DIM, WIDTH), axis=0)
    sum_all = tl.sum(totals, axis=0)
    finish_forward(out, total, row, sums, sum_all, is_mine, DIM, WIDTH)


@triton.jit
def finish_backward(
    h,
    inverse,
    grad_x,
    grad_h,
    row,
    x_sums,
    h_sums,
    is_mine,
    IS_TARGET: tl.constexpr,
    IS_SOURCE: tl.constexpr,
    DIM: tl.constexpr,
    H_DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    H_WIDTH: tl.constexpr,
):
    r"""Store the gradients of a row. The last pass over the edges also converts the
    gradient with respect to the unit intent to one with respect to the intent."""
    if IS_SOURCE:
        store_row(grad_x, row, x_sums, is_mine, DIM, WIDTH)
        if not IS_TARGET:
            h_sums += load_row(grad_h, row, H_DIM, H_WIDTH)
        h_row = load_row(h, row, H_DIM, H_WIDTH)
        h_sums -= tl.sum(h_sums * h_row, axis=0) * h_row
        h_sums *= tl.load(inverse + row)
    store_row(grad_h, row, h_sums, is_mine, H_DIM, H_WIDTH)


@triton.jit(do_not_specialize=['num_rows', 'num_edges'])
def backward_kernel(
    grad,
    below,
    x,
    h,
    inverse,
    rowptr,
    col,
    perm,
    weight,
    grad_x,
    grad_h,
    grad_weight,
    partial_x,
    partial_h,
    num_rows,
    num_edges,
    IS_TARGET: tl.constexpr,
    IS_SOURCE: tl.constexpr,
    HAS_WEIGHT: tl.constexpr,
    DIM: tl.constexpr,
    H_DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    H_WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
    SPLIT: tl.constexpr,
):
    r"""The gradients of a row as a target, as a source, or as both. The latter needs an
    undirected graph without weights, in which all terms of an edge and its reverse
    depend on the same two rows."""
    dtype: tl.constexpr = x.dtype.element_ty
    row, begin, end, is_part, is_mine = find_work(rowptr, num_rows, num_edges, SPLIT)
    h_row = load_row(h, row, H_DIM, H_WIDTH)
    if IS_TARGET:
        grad_row = load_row(grad, row, DIM, WIDTH)
        below_row = tl.load(below + row)
    if IS_SOURCE:
        x_row = load_row(x, row, DIM, WIDTH)
    x_sums = tl.zeros([WIDTH], dtype)
    h_sums = tl.zeros([H_WIDTH], dtype)
    following = load_ids(col, begin, end, BLOCK)
    for start in range(begin, end, BLOCK):
        other = following.to(tl.int64)
        following = load_ids(col, start + BLOCK, end, BLOCK)
        edge = start + tl.arange(0, BLOCK)
        inside = edge < end
        h_other = gather_rows(h, other, inside, H_DIM, H_WIDTH)
        share = (tl.sum(h_other * h_row[None, :], axis=1) + 1) / 2
        share = tl.where(share < 0, 0.0, share)
        is_open = share > 0
        slope = tl.zeros([BLOCK], dtype)
        if IS_TARGET:
            x_other = gather_rows(x, other, inside, DIM, WIDTH)
            slope += tl.sum(x_other * grad_row[None, :], axis=1) - below_row
        if IS_SOURCE:
            grad_other = gather_rows(grad, other, inside, DIM, WIDTH)
            slope += tl.sum(grad_other * x_row[None, :], axis=1)
            slope -= tl.load(below + other, mask=inside, other=0.0)
        if HAS_WEIGHT:
            place = edge
            if IS_TARGET:
                tl.store(grad_weight + edge, slope * share, mask=inside)
            else:
                place = tl.load(perm + edge, mask=inside, other=0).to(tl.int64)
            count = tl.load(weight + place, mask=inside, other=0.0)
            share *= count
            slope *= count
        # Rows beyond the end are zeros and need no mask.
        if IS_SOURCE:
            x_sums += tl.sum(share[:, None] * grad_other, axis=0)
        slope = tl.where(is_open, slope / 2, 0.0)
        h_sums += tl.sum(slope[:, None] * h_other, axis=0)
    if is_part:
        program = tl.program_id(0).to(tl.int64)
        store_row(partial_h, program, h_sums, is_mine, H_DIM, H_WIDTH)
        if IS_SOURCE:
            store_row(partial_x, program, x_sums, is_mine, DIM, WIDTH)
    else:
        finish_backward(
            h,
            inverse,
            grad_x,
            grad_h,
            row,
            x_sums,
            h_sums,
            is_mine,
            IS_TARGET,
            IS_SOURCE,
            DIM,
            H_DIM,
            WIDTH,
            H_WIDTH,
        )


@triton.jit(do_not_specialize=['num_rows', 'num_edges'])
def backward_sum_kernel(
    h,
    inverse,
    rowptr,
    grad_x,
    grad_h,
    partial_x,
    partial_h,
    num_rows,
    num_edges,
    IS_TARGET: tl.constexpr,
    IS_SOURCE: tl.constexpr,
    DIM: tl.constexpr,
    H_DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    H_WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
    SPLIT: tl.constexpr,
):
    r"""The gradients of a long row from its parts, in their order."""
    dtype: tl.constexpr = grad_h.dtype.element_ty
    row, chunk, stop, first, is_mine = find_parts(rowptr, num_rows, num_edges, SPLIT)
    x_sums = tl.zeros([WIDTH], dtype)
    h_sums = tl.zeros([H_WIDTH], dtype)
    for start in range(chunk, stop, BLOCK):
        part = start + tl.arange(0, BLOCK)
        inside = part < stop
        place = tl.where(part == chunk, first, 2 * part)
        h_sums += tl.sum(gather_rows(partial_h, place, inside, H_DIM, H_WIDTH), axis=0)
        if IS_SOURCE:
            x_sums += tl.sum(gather_rows(partial_x, place, inside, DIM, WIDTH), axis=0)
    finish_backward(
        h,
        inverse,
        grad_x,
        grad_h,
        row,
        x_sums,
        h_sums,
        is_mine,
        IS_TARGET,
        IS_SOURCE,
        DIM,
        H_DIM,
        WIDTH,
        H_WIDTH,
    )
