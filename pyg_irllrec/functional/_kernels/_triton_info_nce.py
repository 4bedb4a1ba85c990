"""The Triton kernels of :obj:`info_nce_triton`. Importing this imports Triton."""

# Triton may be missing where types are checked, and its functions take pointers.
# mypy: disable-error-code="import, no-untyped-def, untyped-decorator"
from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def block_at(start, num_rows, DIM: tl.constexpr, BLOCK: tl.constexpr, WIDTH):
    r"""Where a block of rows lies, and which of it is inside of the matrix."""
    rows = start + tl.arange(0, BLOCK)
    columns = tl.arange(0, WIDTH)
    # In 64 bits: there may be more than 2**31 values.
    offsets = rows.to(tl.int64)[:, None] * DIM + columns[None, :]
    return offsets, (rows < num_rows)[:, None] & (columns < DIM)[None, :]


@triton.jit
def load_vector(x, start, num_rows, other, BLOCK: tl.constexpr):
    rows = start + tl.arange(0, BLOCK)
    return tl.load(x + rows, mask=rows < num_rows, other=other)


@triton.jit
def lse_kernel(
    query,
    keys,
    keys_shift,
    out,
    num_rows,
    num_keys,
    keys_per_split,
    bound,
    BOUNDED: tl.constexpr,
    PRECISION: tl.constexpr,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_KEYS: tl.constexpr,
):
    r"""The log-sum-exp of a block of rows over one split of the keys. With a bound,
    it stands in for the largest logit: threads then share their sums only once."""
    first = tl.program_id(0) * BLOCK_ROWS
    split = tl.program_id(1)
    begin = split * keys_per_split
    end = tl.minimum(begin + keys_per_split, num_keys)

    own_at, own_inside = block_at(first, num_rows, DIM, BLOCK_ROWS, WIDTH)
    rows = tl.load(query + own_at, mask=own_inside, other=0.0)
    terms = tl.zeros([BLOCK_ROWS, BLOCK_KEYS], tl.float32)
    total = tl.zeros([BLOCK_ROWS], tl.float32)
    high = tl.full([BLOCK_ROWS], float('-inf'), tl.float32)
    for start in range(begin, end, BLOCK_KEYS):
        at, inside = block_at(start, end, DIM, BLOCK_KEYS, WIDTH)
        x = tl.load(keys + at, mask=inside, other=0.0)
        # Keys beyond the end get a probability of zero here.
        shift = load_vector(keys_shift, start, end, float('-inf'), BLOCK_KEYS)
        logits = tl.dot(rows, tl.trans(x), input_precision=PRECISION) + shift[None, :]
        if BOUNDED:
            terms += tl.exp(logits - bound)
        else:
            higher = tl.maximum(high, tl.max(logits, axis=1))
            finite = tl.where(higher == float('-inf'), 0.0, higher)
            terms = tl.exp(logits - finite[:, None])
            total = total * tl.exp(high - finite) + tl.sum(terms, axis=1)
            high = higher
    if BOUNDED:
        lse = bound + tl.log(tl.sum(terms, axis=1))
    else:
        lse = high + tl.log(total)
    at = first + tl.arange(0, BLOCK_ROWS)
    tl.store(out + split.to(tl.int64) * num_rows + at, lse, mask=at < num_rows)


@triton.jit
def grad_kernel(
    own,
    own_shift,
    own_weight,
    other,
    other_shift,
    other_weight,
    out,
    num_own,
    num_other,
    others_per_split,
    PRECISION: tl.constexpr,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_OWN: tl.constexpr,
    BLOCK_OTHER: tl.constexpr,
):
    r"""The gradient by a block of own rows from one split of the others. A pair counts
    the exponential of its logit and both shifts, times both weights: own rows may be
    queries as well as keys. Where keys have no shift, both have the logits of
    :obj:`lse_kernel` to the last bit, as a probability close to one needs it."""
    first = tl.program_id(0) * BLOCK_OWN
    split = tl.program_id(1)
    begin = split * others_per_split
    end = tl.minimum(begin + others_per_split, num_other)

    own_at, own_inside = block_at(first, num_own, DIM, BLOCK_OWN, WIDTH)
    rows = tl.load(own + own_at, mask=own_inside, other=0.0)
    lift = load_vector(own_shift, first, num_own, float('-inf'), BLOCK_OWN)
    grad = tl.zeros([BLOCK_OWN, WIDTH], tl.float32)
    for start in range(begin, end, BLOCK_OTHER):
        at, inside = block_at(start, end, DIM, BLOCK_OTHER, WIDTH)
        x = tl.load(other + at, mask=inside, other=0.0)
        shift = load_vector(other_shift, start, end, float('-inf'), BLOCK_OTHER)
        weight = load_vector(other_weight, start, end, 0.0, BLOCK_OTHER)
        logits = tl.dot(rows, tl.trans(x), input_precision=PRECISION)
        share = tl.exp(logits + (lift[:, None] + shift[None, :])) * weight[None, :]
        grad = tl.dot(share, x, grad, input_precision=PRECISION)

    weight = load_vector(own_weight, first, num_own, 0.0, BLOCK_OWN)
    out += split.to(tl.int64) * num_own * DIM
    tl.store(out + own_at, grad * weight[:, None], mask=own_inside)
