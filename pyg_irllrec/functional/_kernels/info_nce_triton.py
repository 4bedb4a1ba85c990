from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels._load_triton import can_run_triton, load_triton
from pyg_irllrec.functional._reduction import row_scale
from pyg_irllrec.functional._second_order import refuse_second_order

# The largest 1 / temperature at which exponentials need no shift by the largest logit,
# so that both directions can share them. The smallest exponential is exp(-64), which
# leaves room for the weights of keys.
BOUND = 32

# At lower temperatures, float32 has too few digits for the fraction of a logit.
LEAST_TEMPERATURE = 1e-3

# The largest block. All blocks divide it.
LARGEST_BLOCK = 128

LARGEST_WIDTH = 256
DTYPES = torch.float32, torch.float16, torch.bfloat16


class Block(NamedTuple):
    r"""The size of a program."""

    own: int
    """The number of own rows."""
    other: int
    """The number of other rows per step."""
    warps: int
    """The number of warps."""
    stages: int
    """The number of steps whose rows are loaded in advance."""


# The blocks for the log-sum-exp and for the gradients, by the width of a row and the
# number of its pieces. If possible they are the largest of which two programs fit on
# one multiprocessor of sm_90: one multiplies while the other exponentiates. At most 208
# bytes of registers are spilled; on sm_90 only width 256 with two pieces spills.
BLOCKS = {
    (16, 1): (Block(128, 64, 4, 3), Block(128, 64, 4, 3)),
    (32, 1): (Block(128, 64, 4, 3), Block(128, 64, 4, 3)),
    (64, 1): (Block(128, 64, 4, 3), Block(128, 64, 4, 3)),
    (128, 1): (Block(128, 64, 4, 3), Block(64, 64, 4, 3)),
    (256, 1): (Block(64, 64, 4, 2), Block(64, 64, 4, 2)),
    (16, 2): (Block(128, 64, 4, 3), Block(128, 64, 4, 3)),
    (32, 2): (Block(128, 64, 4, 3), Block(128, 64, 4, 3)),
    (64, 2): (Block(128, 64, 4, 3), Block(128, 64, 4, 3)),
    (128, 2): (Block(128, 64, 8, 2), Block(64, 64, 4, 2)),
    (256, 2): (Block(64, 32, 4, 2), Block(64, 32, 8, 2)),
}


def info_nce_triton(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    weight: Optional[Tensor],
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
    reduction: str,
    symmetric: bool = False,
) -> Tensor:
    r"""The log-sum-exp in one kernel, and its gradients in two. Logits are recomputed
    and never stored, so that memory is :math:`O((B + C) d)`. Sums have a fixed order:
    every run on the same machine gives the same result.

    The two gradient kernels compute the logits twice. A single kernel would add a block
    of the gradient of keys to memory in each step, 8 d / 128 bytes per pair of rows.
    For d = 64 on an H200 this takes .83 ps, but saves only .66 ps (three products,
    6 d / 989 TFLOP/s, and an exponential).

    Raises:
        ValueError: If an input is wider than 256, in double precision or not on a CUDA
            device, or the temperature is below 1e-3.
        ImportError: If Triton is not installed.
    """
    candidates = () if keys is None else (keys,)
    for value in (query, key, *candidates):
        _check(value)
    if temperature < LEAST_TEMPERATURE:
        raise ValueError(
            f"'temperature' must be at least {LEAST_TEMPERATURE} with impl='triton', "
            f"got {temperature}: use impl='eager' or 'chunked'"
        )
    query, key = query.contiguous(), key.contiguous()
    keys = None if keys is None else keys.contiguous()
    scale = None
    if weight is not None:
        scale = row_scale(query.new_empty(0, dtype=torch.float32), weight, reduction)
        scale = scale.contiguous()
    if key_weight is not None:
        key_weight = key_weight.to(torch.float32).contiguous()
    reduced = reduction != 'none'
    options = temperature, eps, reduction, symmetric
    loss: Tensor
    loss, *_ = _forward(
        query, key, keys, scale if reduced else None, key_weight, *options
    )
    return loss if reduced or scale is None else loss * scale


@torch.library.custom_op('pyg_irllrec::info_nce_triton', mutates_args=())
def _forward(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    weight: Optional[Tensor],
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
    reduction: str,
    symmetric: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    r"""The weighted sum or mean of losses or, without a reduction, the loss of each
    row. The other outputs are for the gradients: the losses of rows (with weights
    only), unit rows and their inverse norms, the log-sum-exp and the loss of each row,
    and the largest weight of a key."""
    kernels = load_triton('_triton_info_nce', query)
    shape = _shape_of(query, keys, temperature)
    units = query.new_empty(
        _pieces(query), shape.total, shape.width, dtype=torch.float16
    )
    inverse = query.new_empty(shape.total, dtype=torch.float32)
    stats = inverse.new_empty(4 if symmetric else 2, shape.num_rows)
    rows = inverse.new_empty(shape.num_rows)
    options = _options(units)
    with torch.cuda.device_of(query):
        kernels.unit_kernel[(shape.total // 32,)](
            query,
            key,
            key if keys is None else keys,
            units,
            units.stride(0),
            inverse,
            shape.num_rows,
            0 if keys is None else shape.num_keys,
            shape.padded,
            DIM=shape.dim,
            BLOCK=32,
            **options,
        )
        sides = _sides(units, shape)
        directions = (sides, sides[::-1])[: 1 + symmetric]
        key_peak = _peak(key_weight)
        parts = [
            _log_sum_exp(kernels, direction, key_weight, key_peak, shape, units)
            for direction in directions
        ]
        kernels.loss_kernel[(-(-shape.num_rows // 32),)](
            units,
            units.stride(0),
            shape.padded,
            parts[0],
            parts[-1],
            key_peak,
            rows,
            stats,
            shape.num_rows,
            parts[0].size(0),
            shape.scale,
            shape.bound,
            _log(eps),
            FLOORED=eps > 0,
            SYMMETRIC=symmetric,
            BLOCK=32,
            **options,
        )
    none = rows.new_empty(0)
    kept = units, inverse, stats, rows.new_empty(0) if key_peak is None else key_peak
    if reduction == 'none':
        return rows, none, *kept
    if weight is not None:
        return torch.dot(rows, weight), rows, *kept
    total = rows.mean() if reduction == 'mean' else rows.sum()
    return total, none, *kept


@_forward.register_fake
def _(query, key, keys, weight, key_weight, temperature, eps, reduction, symmetric):  # type: ignore[no-untyped-def]
    shape = _shape_of(query, keys, temperature)
    rows = query.new_empty(shape.num_rows, dtype=torch.float32)
    return (
        rows if reduction == 'none' else rows.new_empty(()),
        rows.new_empty(0 if weight is None else shape.num_rows),
        query.new_empty(_pieces(query), shape.total, shape.width, dtype=torch.float16),
        rows.new_empty(shape.total),
        rows.new_empty(4 if symmetric else 2, shape.num_rows),
        rows.new_empty((0,) if key_weight is None else ()),
    )


@torch.library.custom_op('pyg_irllrec::info_nce_triton_backward', mutates_args=())
def _grads(
    upstream: Tensor,
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    weight: Optional[Tensor],
    key_weight: Optional[Tensor],
    units: Tensor,
    inverse: Tensor,
    stats: Tensor,
    key_peak: Tensor,
    temperature: float,
    eps: float,
    reduction: str,
    symmetric: bool,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The gradients with respect to query, key and keys, each empty unless needed."""
    kernels = load_triton('_triton_info_nce', query)
    shape = _shape_of(query, keys, temperature)
    grads = _empty_like(query, key, keys, needed)
    weight = upstream.contiguous() if reduction == 'none' else weight
    peak = _peak(weight)
    slopes = torch.empty_like(stats)
    factor = (0.5 if symmetric else 1.0) / temperature
    if reduction == 'mean' and weight is None:
        factor /= shape.num_rows
    with torch.cuda.device_of(query):
        kernels.slope_kernel[(-(-shape.num_rows // 256), 1 + symmetric)](
            stats,
            weight,
            peak,
            slopes,
            shape.num_rows,
            _log(eps),
            WEIGHTED=weight is not None,
            FLOORED=eps > 0,
            LINEAR=symmetric,
            BLOCK=256,
            enable_fp_fusion=True,
        )
        signed = reduction == 'none'
        parts = [
            _sums(
                kernels,
                bool(of_keys),
                slopes,
                key_weight,
                key_peak,
                signed,
                shape,
                units,
            )
            if need
            else None
            for of_keys, need in enumerate(
                (needed[0], needed[1 if keys is None else 2])
            )
        ]
        kernels.rows_kernel[
            (-(-max(shape.num_rows, shape.num_keys) // 32), 2 if keys is None else 3)
        ](
            *(grad if need else None for grad, need in zip(grads, needed)),
            *parts,
            *(0 if part is None else part.size(0) for part in parts),
            units,
            units.stride(0),
            inverse,
            slopes[1],
            slopes[-1],
            None if reduction == 'none' else upstream,
            peak,
            factor,
            shape.num_rows,
            shape.num_keys,
            shape.padded,
            SYMMETRIC=symmetric,
            HAS_KEYS=keys is not None,
            DIM=shape.dim,
            BLOCK=32,
            **_options(units),
        )
    return grads


@_grads.register_fake
def _(upstream, query, key, keys, *rest):  # type: ignore[no-untyped-def]
    return _empty_like(query, key, keys, rest[-1])


def _empty_like(
    query: Tensor, key: Tensor, keys: Optional[Tensor], needed: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    sizes = [
        x.shape if need and x is not None else (0,)
        for x, need in zip((query, key, keys), needed)
    ]
    return (
        query.new_empty(sizes[0]),
        query.new_empty(sizes[1]),
        query.new_empty(sizes[2]),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:5], *output[1:])
    ctx.options = inputs[5:]


def _backward(ctx: Any, upstream: Optional[Tensor], *_: Any) -> tuple[Any, ...]:
    if torch.is_grad_enabled():
        refuse_second_order("impl='triton'")
    if upstream is None:
        return (None,) * 9
    *inputs, rows, units, inverse, stats, key_peak = ctx.saved_tensors
    needed = ctx.needs_input_grad
    options = *ctx.options, list(needed[:3])
    grads = _grads(upstream, *inputs, units, inverse, stats, key_peak, *options)
    of_weight = rows * upstream if needed[3] else None
    of_inputs = (grad if need else None for grad, need in zip(grads, needed))
    return *of_inputs, of_weight, *(None,) * 5


_forward.register_autograd(_backward, setup_context=_setup)


class _Shape(NamedTuple):
    num_rows: int
    num_keys: int
    dim: int
    width: int
    # The padded number of queries, the first row of candidates, and the number of all
    # rows in the array of unit rows.
    padded: int
    keys_at: int
    total: int
    # The factor from products of pieces to logits in base 2, and the largest logit.
    scale: float
    bound: float


def _shape_of(query: Tensor, keys: Optional[Tensor], temperature: float) -> _Shape:
    num_rows, dim = query.shape
    padded = -(-num_rows // LARGEST_BLOCK) * LARGEST_BLOCK
    num_keys = num_rows if keys is None else keys.size(0)
    keys_at = padded if keys is None else 2 * padded
    total = keys_at + -(-num_keys // LARGEST_BLOCK) * LARGEST_BLOCK
    width = next(width for width, _ in BLOCKS if width >= dim)
    bound = 1 / (temperature * math.log(2))
    scale = bound / 2**24
    return _Shape(num_rows, num_keys, dim, width, padded, keys_at, total, scale, bound)


class _Side(NamedTuple):
    units: Tensor
    size: int


def _sides(units: Tensor, shape: _Shape) -> tuple[_Side, _Side]:
    return (
        _Side(units[0], shape.num_rows),
        _Side(units[0, shape.keys_at :], shape.num_keys),
    )


def _log_sum_exp(
    kernels: ModuleType,
    sides: tuple[_Side, _Side],
    key_weight: Optional[Tensor],
    key_peak: Optional[Tensor],
    shape: _Shape,
    units: Tensor,
) -> Tensor:
    r"""The log-sum-exp of all own rows over each split of the other rows."""
    own, other = sides
    cut = _cut(sides, BLOCKS[shape.width, units.size(0)][0])
    out = units.new_empty(cut.grid[1], own.size, dtype=torch.float32)
    kernels.lse_kernel[cut.grid](
        own.units,
        other.units,
        units.stride(0),
        key_weight,
        key_peak,
        out,
        own.size,
        other.size,
        cut.per_split,
        shape.scale,
        shape.bound,
        WEIGHTED=key_weight is not None,
        BOUNDED=shape.bound * math.log(2) <= BOUND,
        **_options(units),
        **cut.options,
    )
    return out


def _sums(
    kernels: ModuleType,
    of_keys: bool,
    slopes: Tensor,
    key_weight: Optional[Tensor],
    key_peak: Optional[Tensor],
    signed: bool,
    shape: _Shape,
    units: Tensor,
) -> Tensor:
    r"""The gradients of the unit rows of queries or keys, up to a factor, from each
    split of the other rows."""
    sides, factors = _sides(units, shape), (slopes[0], slopes[-2])
    if of_keys:
        sides, factors = sides[::-1], factors[::-1]
    own, other = sides
    cut = _cut(sides, BLOCKS[shape.width, units.size(0)][1])
    out = units.new_empty(cut.grid[1], own.size, shape.width, dtype=torch.float32)
    kernels.grad_kernel[cut.grid](
        own.units,
        other.units,
        units.stride(0),
        *factors,
        slopes[1],
        key_weight,
        key_peak,
        out,
        own.size,
        other.size,
        cut.per_split,
        shape.scale,
        shape.bound,
        KEYS_OWN=of_keys,
        SYMMETRIC=slopes.size(0) == 4,
        SIGNED=signed,
        WEIGHTED=key_weight is not None,
        **_options(units),
        **cut.options,
    )
    return out


class _Cut(NamedTuple):
    grid: tuple[int, int]
    per_split: int
    options: dict[str, int]


def _cut(sides: tuple[_Side, _Side], block: Block) -> _Cut:
    r"""Plan one program per block of own rows. The other rows are split too, up to
    eight programs per multiprocessor, so that all multiprocessors finish at about the
    same time."""
    own, other = sides
    programs = 4
    if own.units.is_cuda:
        device = torch.cuda.get_device_properties(own.units.device)
        programs = 8 * device.multi_processor_count
    num_own, num_other = -(-own.size // block.own), -(-other.size // block.other)
    splits = max(1, min(programs // num_own, num_other))
    per_split = -(-num_other // splits) * block.other
    options = {
        'BLOCK_OWN': block.own,
        'BLOCK_OTHER': block.other,
        'num_warps': block.warps,
        'num_stages': block.stages,
    }
    return _Cut((num_own, -(-other.size // per_split)), per_split, options)


def _peak(weight: Optional[Tensor]) -> Optional[Tensor]:
    return None if weight is None else torch.linalg.vector_norm(weight, math.inf)


def _options(units: Tensor) -> dict[str, int]:
    r"""The options that all kernels with unit rows share."""
    # Triton 3.9 warns about a new default unless fusion is set.
    pieces, _, width = units.shape
    return {'PIECES': pieces, 'WIDTH': width, 'enable_fp_fusion': True}


def _pieces(x: Tensor) -> int:
    r"""The number of float16 pieces of a unit row. One piece has the mantissa of TF32,
    which suffices for half precision."""
    if x.dtype.itemsize < 4:
        return 1
    matmul = torch.backends.cuda.matmul
    if hasattr(matmul, 'fp32_precision'):  # Since torch 2.9, allow_tf32 may raise.
        return 1 if matmul.fp32_precision == 'tf32' else 2
    return 1 if matmul.allow_tf32 else 2


def _log(eps: float) -> float:
    return math.log(eps) if eps > 0 else 0.0


def fits_triton(x: Tensor, temperature: float) -> bool:
    r"""Whether :func:`info_nce_triton` supports these rows on their device."""
    fits = x.dtype in DTYPES and x.size(1) <= LARGEST_WIDTH
    return fits and temperature >= LEAST_TEMPERATURE and can_run_triton(x)


def _check(x: Tensor) -> None:
    if x.dtype not in DTYPES:
        raise ValueError(
            f"impl='triton' needs torch.float32, torch.float16 or torch.bfloat16, got "
            f"{x.dtype}: use impl='eager' or 'chunked'"
        )
    if x.size(1) > LARGEST_WIDTH:
        raise ValueError(
            f"impl='triton' needs rows of at most {LARGEST_WIDTH} values, got "
            f"{x.size(1)}: use impl='eager' or 'chunked'"
        )
