r"""The Triton kernels of :obj:`info_nce_triton`. Importing this module imports Triton.

Unit rows times 2**12 are stored as one or two float16 pieces of 11 bits each: an upper
piece and, for full precision, a lower piece. Products of two pieces work like tf32x3,
at twice its rate. Logits are in base 2, relative to their largest possible value. No
kernel is specialised for a size, so a new batch size does not recompile."""

# Triton may not be installed for the type check, and its functions take pointers.
# mypy: disable-error-code="import, no-untyped-def, untyped-decorator"
from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load_rows(x, start, num_rows, DIM: tl.constexpr, WIDTH: tl.constexpr, BLOCK):
    r"""A block of raw rows in float32, with zeros out of bounds."""
    # 64-bit offsets, because there may be more than 2**31 values.
    rows = tl.cast(start, tl.int64) + tl.arange(0, BLOCK)
    columns = tl.arange(0, WIDTH)
    inside = ((rows >= 0) & (rows < num_rows))[:, None] & (columns < DIM)[None, :]
    at = rows[:, None] * DIM + columns[None, :]
    return tl.load(x + at, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def load_units(units, start, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    r"""A block of float16 pieces. Their rows are padded to a multiple of any block."""
    at = tl.arange(0, BLOCK)[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]
    return tl.load(units + tl.cast(start, tl.int64) * WIDTH + at)


@triton.jit
def load_wide(units, lower, start, PIECES: tl.constexpr, WIDTH: tl.constexpr, BLOCK):
    r"""A block of unit rows in float32."""
    x = load_units(units, start, WIDTH, BLOCK).to(tl.float32)
    if PIECES == 2:
        x += load_units(units + lower, start, WIDTH, BLOCK).to(tl.float32)
    return x * 0.000244140625


@triton.jit
def load_vector(x, start, num_rows, other, BLOCK: tl.constexpr):
    rows = tl.cast(start, tl.int64) + tl.arange(0, BLOCK)
    return tl.load(x + rows, mask=rows < num_rows, other=other).to(tl.float32)


@triton.jit
def load_count(weight, peak, start, end, BLOCK: tl.constexpr):
    r"""The weights of a block of keys, divided by the largest weight."""
    return load_vector(weight, start, end, 0.0, BLOCK) / tl.load(peak)


@triton.jit
def load_shift(
    weight, peak, start, end, bound, WEIGHTED: tl.constexpr, BLOCK: tl.constexpr
):
    r"""The values to add to the logits of a block of keys: minus infinity beyond the
    end."""
    if WEIGHTED:
        return tl.log2(load_count(weight, peak, start, end, BLOCK)) - bound
    return tl.where(start + tl.arange(0, BLOCK) < end, -bound, float('-inf'))


@triton.jit
def multiply(upper, lower, x, x_lower, PIECES: tl.constexpr, KEYS_OWN: tl.constexpr):
    r"""The products of all pairs of rows, times 2**24. The order of summation does not
    depend on which side is the own side, because probabilities close to 1 need products
    that are equal to the last bit."""
    if PIECES == 1:
        return tl.dot(upper, tl.trans(x))
    if KEYS_OWN:
        out = tl.dot(upper, tl.trans(x_lower))
        out = tl.dot(lower, tl.trans(x), out)
    else:
        out = tl.dot(lower, tl.trans(x))
        out = tl.dot(upper, tl.trans(x_lower), out)
    return tl.dot(upper, tl.trans(x), out)


@triton.jit(do_not_specialize=['num_rows', 'num_keys'])
def unit_kernel(
    query,
    key,
    keys,
    units,
    lower,
    inverse,
    num_rows,
    num_keys,
    padded,
    PIECES: tl.constexpr,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    r"""The unit rows of queries, of their keys and of candidates, one after the other,
    and the inverse norms that they were multiplied by."""
    start = tl.program_id(0) * BLOCK
    x = load_rows(query, start, num_rows, DIM, WIDTH, BLOCK)
    x += load_rows(key, start - padded, num_rows, DIM, WIDTH, BLOCK)
    x += load_rows(keys, start - 2 * padded, num_keys, DIM, WIDTH, BLOCK)
    scale = tl.rsqrt(1e-8 + tl.sum(x * x, axis=1))
    x *= (4096.0 * scale)[:, None]
    at = tl.arange(0, BLOCK)
    tl.store(inverse + start + at, scale)
    at = at[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]
    units += tl.cast(start, tl.int64) * WIDTH
    upper = x.to(tl.float16)
    tl.store(units + at, upper)
    if PIECES == 2:
        tl.store(units + lower + at, (x - upper.to(tl.float32)).to(tl.float16))


@triton.jit(do_not_specialize=['num_rows', 'num_keys'])
def lse_kernel(
    own,
    other,
    lower,
    key_weight,
    key_peak,
    out,
    num_rows,
    num_keys,
    keys_per_split,
    scale,
    bound,
    WEIGHTED: tl.constexpr,
    BOUNDED: tl.constexpr,
    PIECES: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_OWN: tl.constexpr,
    BLOCK_OTHER: tl.constexpr,
):
    r"""The log-sum-exp of a block of rows over one split of the keys. If the bound can
    replace the largest logit, the threads combine their sums only once."""
    first = tl.program_id(0) * BLOCK_OWN
    split = tl.program_id(1)
    begin = split * keys_per_split
    end = tl.minimum(begin + keys_per_split, num_keys)

    rows = load_units(own, first, WIDTH, BLOCK_OWN)
    rows_lower = rows
    if PIECES == 2:
        rows_lower = load_units(own + lower, first, WIDTH, BLOCK_OWN)
    terms = tl.zeros([BLOCK_OWN, BLOCK_OTHER], tl.float32)
    total = tl.zeros([BLOCK_OWN], tl.float32)
    high = tl.full([BLOCK_OWN], float('-inf'), tl.float32)
    for start in range(begin, end, BLOCK_OTHER):
        x = load_units(other, start, WIDTH, BLOCK_OTHER)
        x_lower = x
        if PIECES == 2:
            x_lower = load_units(other + lower, start, WIDTH, BLOCK_OTHER)
        shift = load_shift(
            key_weight, key_peak, start, end, bound, WEIGHTED, BLOCK_OTHER
        )
        logits = multiply(rows, rows_lower, x, x_lower, PIECES, False)
        logits = logits * scale + shift[None, :]
        if BOUNDED:
            terms += tl.exp2(logits)
        else:
            higher = tl.maximum(high, tl.max(logits, axis=1))
            finite = tl.where(higher == float('-inf'), 0.0, higher)
            terms = tl.exp2(logits - finite[:, None])
            total = total * tl.exp2(high - finite) + tl.sum(terms, axis=1)
            high = higher
    if BOUNDED:
        lse = tl.log2(tl.sum(terms, axis=1))
    else:
        lse = high + tl.log2(total)
    at = first + tl.arange(0, BLOCK_OWN)
    tl.store(out + tl.cast(split, tl.int64) * num_rows + at, lse, mask=at < num_rows)


@triton.jit
def combine(parts, start, num_rows, num_splits, BLOCK: tl.constexpr):
    r"""The log-sum-exp over all splits."""
    total = tl.zeros([BLOCK], tl.float32)
    high = tl.full([BLOCK], float('-inf'), tl.float32)
    for split in range(num_splits):
        part = parts + tl.cast(split, tl.int64) * num_rows
        part = load_vector(part, start, num_rows, float('-inf'), BLOCK)
        higher = tl.maximum(high, part)
        finite = tl.where(higher == float('-inf'), 0.0, higher)
        total = total * tl.exp2(high - finite) + tl.exp2(part - finite)
        high = higher
    return high + tl.log2(total)


@triton.jit
def floor_loss(loss, log_eps, FLOORED: tl.constexpr):
    if FLOORED:
        high = tl.maximum(-loss, log_eps)
        loss = -high - tl.log(1.0 + tl.exp(-tl.abs(-loss - log_eps)))
    return loss


@triton.jit(do_not_specialize=['num_rows', 'num_splits'])
def loss_kernel(
    units,
    lower,
    padded,
    parts,
    back_parts,
    key_peak,
    out,
    stats,
    num_rows,
    num_splits,
    scale,
    bound,
    log_eps,
    FLOORED: tl.constexpr,
    SYMMETRIC: tl.constexpr,
    PIECES: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    r"""The losses of rows, and for each direction the log-sum-exp and the loss without
    eps."""
    start = tl.program_id(0) * BLOCK
    query = load_wide(units, lower, start, PIECES, WIDTH, BLOCK)
    key = load_wide(units, lower, start + padded, PIECES, WIDTH, BLOCK)
    # The scale expects products that are 2**24 times as large.
    positive = tl.sum(query * key, axis=1) * (scale * 16777216.0) - bound
    if key_peak is not None:
        positive -= tl.log2(tl.load(key_peak))
    at = start + tl.arange(0, BLOCK)
    inside = at < num_rows
    lse = combine(parts, start, num_rows, num_splits, BLOCK)
    loss = (lse - positive) * 0.6931471805599453
    tl.store(stats + at, lse, mask=inside)
    tl.store(stats + num_rows + at, loss, mask=inside)
    loss = floor_loss(loss, log_eps, FLOORED)
    if SYMMETRIC:
        lse = combine(back_parts, start, num_rows, num_splits, BLOCK)
        back = (lse - positive) * 0.6931471805599453
        stats += 2 * num_rows
        tl.store(stats + at, lse, mask=inside)
        tl.store(stats + num_rows + at, back, mask=inside)
        loss = (loss + floor_loss(back, log_eps, FLOORED)) / 2
    tl.store(out + at, loss, mask=inside)


@triton.jit(do_not_specialize=['num_rows'])
def slope_kernel(
    stats,
    weight,
    peak,
    out,
    num_rows,
    log_eps,
    WEIGHTED: tl.constexpr,
    FLOORED: tl.constexpr,
    LINEAR: tl.constexpr,
    BLOCK: tl.constexpr,
):
    r"""The slope of each row in one direction, which is its weight divided by the
    largest, and the factor that converts its exponentials to probabilities times the
    slope and 2**15. The factor is in base-2 logarithms or, if linear, a plain factor
    with 2**14 instead, because two of them are added."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < num_rows
    direction = tl.program_id(1) * 2 * num_rows
    stats += direction
    out += direction
    slope = tl.full([BLOCK], 1.0, tl.float32)
    if WEIGHTED:
        most = tl.load(peak)
        most = tl.where(most == 0.0, 1.0, most)
        slope = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32) / most
    if FLOORED:
        loss = tl.load(stats + num_rows + at, mask=inside, other=0.0)
        slope *= tl.sigmoid(-loss - log_eps)
    lse = tl.load(stats + at, mask=inside, other=0.0)
    if LINEAR:
        factor = slope * tl.exp2(14.0 - lse)
    else:
        factor = 15.0 - lse + tl.log2(tl.abs(slope))
    tl.store(out + at, factor, mask=inside)
    tl.store(out + num_rows + at, slope, mask=inside)


@triton.jit(do_not_specialize=['num_own', 'num_other'])
def grad_kernel(
    own,
    other,
    lower,
    own_factor,
    other_factor,
    slope,
    key_weight,
    key_peak,
    out,
    num_own,
    num_other,
    others_per_split,
    scale,
    bound,
    KEYS_OWN: tl.constexpr,
    SYMMETRIC: tl.constexpr,
    SIGNED: tl.constexpr,
    WEIGHTED: tl.constexpr,
    PIECES: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_OWN: tl.constexpr,
    BLOCK_OTHER: tl.constexpr,
):
    r"""The sum of one split of the other rows, weighted by their probabilities, for
    each row of a block of own rows. Own rows are queries and other rows keys, or vice
    versa."""
    first = tl.program_id(0) * BLOCK_OWN
    split = tl.program_id(1)
    begin = split * others_per_split
    end = tl.minimum(begin + others_per_split, num_other)

    rows = load_units(own, first, WIDTH, BLOCK_OWN)
    rows_lower = rows
    if PIECES == 2:
        rows_lower = load_units(own + lower, first, WIDTH, BLOCK_OWN)
    if SYMMETRIC:
        own_by = load_vector(own_factor, first, num_own, 0.0, BLOCK_OWN)
        if WEIGHTED:
            own_count = load_count(key_weight, key_peak, first, num_own, BLOCK_OWN)
    elif KEYS_OWN:
        lift = load_shift(
            key_weight, key_peak, first, num_own, bound, WEIGHTED, BLOCK_OWN
        )
    else:
        lift = load_vector(own_factor, first, num_own, float('-inf'), BLOCK_OWN)
    grad = tl.zeros([BLOCK_OWN, WIDTH], tl.float32)
    for start in range(begin, end, BLOCK_OTHER):
        x = load_units(other, start, WIDTH, BLOCK_OTHER)
        x_lower = x
        if PIECES == 2:
            x_lower = load_units(other + lower, start, WIDTH, BLOCK_OTHER)
        logits = multiply(rows, rows_lower, x, x_lower, PIECES, KEYS_OWN)
        # Add the shift of keys first: it includes the bound, so that the sum is small.
        if SYMMETRIC:
            shift = load_shift(
                key_weight, key_peak, start, end, bound, False, BLOCK_OTHER
            )
            share = tl.exp2(logits * scale + shift[None, :])
            by = load_vector(other_factor, start, end, 0.0, BLOCK_OTHER)
            if WEIGHTED:
                count = load_count(key_weight, key_peak, start, end, BLOCK_OTHER)
                share *= own_by[:, None] * count[None, :] + (
                    own_count[:, None] * by[None, :]
                )
            else:
                share *= own_by[:, None] + by[None, :]
        elif KEYS_OWN:
            shift = load_vector(other_factor, start, end, float('-inf'), BLOCK_OTHER)
            share = tl.exp2(logits * scale + lift[:, None] + shift[None, :])
            if SIGNED:
                sign = load_vector(slope, start, end, 0.0, BLOCK_OTHER)
                share *= tl.where(sign < 0, -1.0, 1.0)[None, :]
        else:
            shift = load_shift(
                key_weight, key_peak, start, end, bound, WEIGHTED, BLOCK_OTHER
            )
            share = tl.exp2(logits * scale + shift[None, :] + lift[:, None])
        upper = share.to(tl.float16)
        if PIECES == 2:
            rest = (share - upper.to(tl.float32)) * 2048.0
            part = tl.dot(rest.to(tl.float16), x) * 0.00048828125
            part = tl.dot(upper, x_lower, part)
            # Tensor cores truncate long sums instead of rounding them.
            grad += tl.dot(upper, x, part)
        else:
            grad = tl.dot(upper, x, grad)
    if SIGNED and not SYMMETRIC and not KEYS_OWN:
        sign = load_vector(slope, first, num_own, 0.0, BLOCK_OWN)
        grad *= tl.where(sign < 0, -1.0, 1.0)[:, None]

    at = first + tl.arange(0, BLOCK_OWN)
    inside = (at < num_own)[:, None]
    at = at.to(tl.int64)[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]
    tl.store(out + tl.cast(split, tl.int64) * num_own * WIDTH + at, grad, mask=inside)


@triton.jit
def add_rows(
    out,
    parts,
    num_splits,
    own,
    partner,
    slope,
    back_slope,
    lower,
    inverse,
    upstream,
    scale,
    start,
    num_rows,
    SUMMED: tl.constexpr,
    SYMMETRIC: tl.constexpr,
    PIECES: tl.constexpr,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    r"""The gradient with respect to a block of raw rows: the sums over other rows,
    minus the term of the positive, backpropagated through the normalisation. Either
    term may be missing, if there are no sums or no partner."""
    rows = start + tl.arange(0, BLOCK)
    inside = rows < num_rows
    columns = tl.arange(0, WIDTH)
    at = rows.to(tl.int64)[:, None] * WIDTH + columns[None, :]
    grad = tl.zeros([BLOCK, WIDTH], tl.float32)
    if SUMMED:
        for split in range(num_splits):
            part = parts + tl.cast(split, tl.int64) * num_rows * WIDTH
            grad += tl.load(part + at, mask=inside[:, None], other=0.0)
        # Undo the factors 2**15 or 2**14 of probabilities and 2**12 of rows.
        grad *= 1.4901161193847656e-08 if SYMMETRIC else 7.450580596923828e-09
    if partner is not None:
        by = load_vector(slope, start, num_rows, 0.0, BLOCK)
        if SYMMETRIC:
            by += load_vector(back_slope, start, num_rows, 0.0, BLOCK)
        mate = load_wide(partner, lower, start, PIECES, WIDTH, BLOCK)
        grad -= by[:, None] * mate
    unit = load_wide(own, lower, start, PIECES, WIDTH, BLOCK)
    grad -= tl.sum(grad * unit, axis=1)[:, None] * unit
    factor = load_vector(inverse, start, num_rows, 0.0, BLOCK) * upstream * scale
    grad *= factor[:, None]
    at = rows.to(tl.int64)[:, None] * DIM + columns[None, :]
    inside = inside[:, None] & (columns < DIM)[None, :]
    tl.store(out + at, grad.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=['query_splits', 'keys_splits', 'num_rows', 'num_keys'])
def rows_kernel(
    grad_query,
    grad_key,
    grad_keys,
    query_parts,
    keys_parts,
    query_splits,
    keys_splits,
    units,
    lower,
    inverse,
    slope,
    back_slope,
    upstream,
    peak,
    scale,
    num_rows,
    num_keys,
    padded,
    SYMMETRIC: tl.constexpr,
    HAS_KEYS: tl.constexpr,
    PIECES: tl.constexpr,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    r"""The gradients with respect to queries, their keys and candidates, one per row of
    the grid. Those that are :obj:`None` are skipped."""
    start = tl.program_id(0) * BLOCK
    side = tl.program_id(1)
    factor = tl.full([], 1.0, tl.float32)
    if upstream is not None:
        factor *= tl.load(upstream)
    if peak is not None:
        factor *= tl.load(peak)
    key = units + tl.cast(padded, tl.int64) * WIDTH
    # The grid is as long as the longest side.
    if (side == 0) & (start < num_rows):
        if grad_query is not None:
            add_rows(
                grad_query,
                query_parts,
                query_splits,
                units,
                key,
                slope,
                back_slope,
                lower,
                inverse,
                factor,
                scale,
                start,
                num_rows,
                True,
                SYMMETRIC,
                PIECES,
                DIM,
                WIDTH,
                BLOCK,
            )
    if (side == 1) & (start < num_rows):
        if grad_key is not None:
            add_rows(
                grad_key,
                keys_parts,
                keys_splits,
                key,
                units,
                slope,
                back_slope,
                lower,
                inverse + padded,
                factor,
                scale,
                start,
                num_rows,
                not HAS_KEYS,
                SYMMETRIC,
                PIECES,
                DIM,
                WIDTH,
                BLOCK,
            )
    if (side == 2) & (start < num_keys):
        if grad_keys is not None:
            add_rows(
                grad_keys,
                keys_parts,
                keys_splits,
                units + 2 * tl.cast(padded, tl.int64) * WIDTH,
                None,
                slope,
                back_slope,
                lower,
                inverse + 2 * padded,
                factor,
                scale,
                start,
                num_keys,
                True,
                SYMMETRIC,
                PIECES,
                DIM,
                WIDTH,
                BLOCK,
            )
