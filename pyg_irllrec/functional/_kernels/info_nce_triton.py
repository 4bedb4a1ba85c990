from __future__ import annotations

from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels._load_triton import load_triton
from pyg_irllrec.functional._kernels.info_nce_eager import floor_probability
from pyg_irllrec.functional._reduction import reduce_rows
from pyg_irllrec.functional._second_order import refuse_second_order
from pyg_irllrec.functional.unit_norm import unit_norm

# How Triton multiplies float32: 'ieee' rounds as torch does; 'tf32x3' does nearly, on
# tensor cores; 'tf32' has ten bits of mantissa, a relative error of about 1e-3.
PRECISION = 'ieee'

# Own rows and others that a program has at hand, and its warps: for the log-sum-exp
# and for gradients, by the width of a row. The largest that keep to the registers of
# an H100, or nearly so, as compiled by Triton 3.6 and 3.9.
BLOCKS = {
    16: ((64, 64, 8), (64, 64, 8)),
    32: ((64, 64, 8), (64, 64, 8)),
    64: ((64, 64, 8), (64, 64, 8)),
    128: ((64, 64, 8), (32, 64, 8)),
    256: ((64, 32, 8), (32, 32, 16)),
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
) -> Tensor:
    r"""The log-sum-exp in one kernel, its gradients in two: logits are computed where
    they are needed and never stored, :math:`O((B + C) d)` memory. Sums are taken in a
    fixed order: on one machine, every run gives the same.

    Raises:
        ValueError: If an input is not :obj:`float32`, is wider than 256, or is not on
            a CUDA device.
        ImportError: If Triton is not installed.
    """
    for value in (query, key, key if keys is None else keys):
        _check(value)
    # Divided once: both directions then have the same logits, to the last bit.
    query = unit_norm(query) / temperature
    key = unit_norm(key)
    keys = key if keys is None else unit_norm(keys)
    shift = None if key_weight is None else key_weight.to(query.dtype).log()
    lse: Tensor = _lse(query, keys, shift, 1 / temperature)
    loss = lse - (query * key).sum(dim=-1)
    return reduce_rows(floor_probability(loss, eps), reduction, weight)


@torch.library.custom_op('pyg_irllrec::info_nce_triton_lse', mutates_args=())
def _lse(query: Tensor, keys: Tensor, shift: Optional[Tensor], bound: float) -> Tensor:
    r""":math:`\log \sum_c \exp(\mathbf{q}_b^{\top} \mathbf{c}_c + s_c)` of every row,
    where no inner product is above :obj:`bound`."""
    kernels = load_triton('_triton_info_nce', query)
    query, keys = query.contiguous(), keys.contiguous()
    cut = _tiles(query, keys, grad=False)
    out = query.new_empty(cut.grid[1], query.size(0))
    with torch.cuda.device_of(query):
        kernels.lse_kernel[cut.grid](
            query,
            keys,
            _or_zeros(shift, keys),
            out,
            *cut.sizes,
            bound,
            # The least there can be is exp(-80) then, a sound number.
            BOUNDED=shift is None and bound <= 40,
            BLOCK_ROWS=cut.block_own,
            BLOCK_KEYS=cut.block_other,
            **cut.options,
        )
    return out[0] if out.size(0) == 1 else out.logsumexp(dim=0)


@_lse.register_fake
def _(query, keys, shift, bound):  # type: ignore[no-untyped-def]
    return query.new_empty(query.size(0))


@torch.library.custom_op('pyg_irllrec::info_nce_triton_lse_backward', mutates_args=())
def _lse_backward(
    upstream: Tensor,
    lse: Tensor,
    query: Tensor,
    keys: Tensor,
    shift: Optional[Tensor],
    needs_query: bool,
    needs_keys: bool,
) -> tuple[Tensor, Tensor]:
    r"""The gradients by query and keys, each empty where it is not needed."""
    rows = query.contiguous(), -lse, upstream.contiguous()
    others = keys.contiguous(), _or_zeros(shift, keys), keys.new_ones(keys.size(0))
    return (
        _grad(*rows, *others) if needs_query else query.new_empty(0),
        _grad(*others, *rows) if needs_keys else query.new_empty(0),
    )


@_lse_backward.register_fake
def _(upstream, lse, query, keys, shift, needs_query, needs_keys):  # type: ignore[no-untyped-def]
    return (
        query.new_empty(query.shape if needs_query else 0),
        keys.new_empty(keys.shape if needs_keys else 0),
    )


def _grad(own: Tensor, own_shift: Tensor, own_weight: Tensor, *other: Tensor) -> Tensor:
    kernels = load_triton('_triton_info_nce', own)
    cut = _tiles(own, other[0], grad=True)
    out = own.new_empty(cut.grid[1], *own.shape)
    with torch.cuda.device_of(own):
        kernels.grad_kernel[cut.grid](
            own,
            own_shift,
            own_weight,
            *other,
            out,
            *cut.sizes,
            BLOCK_OWN=cut.block_own,
            BLOCK_OTHER=cut.block_other,
            **cut.options,
        )
    return out[0] if out.size(0) == 1 else out.sum(dim=0)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(output, *inputs[:3])


def _backward(ctx: Any, upstream: Tensor) -> tuple[Optional[Tensor], ...]:
    if torch.is_grad_enabled():
        refuse_second_order("impl='triton'")
    needed = ctx.needs_input_grad[:2]
    grads = _lse_backward(upstream, *ctx.saved_tensors, *needed)
    return *(grad if need else None for grad, need in zip(grads, needed)), None, None


_lse.register_autograd(_backward, setup_context=_setup)


class _Tiles(NamedTuple):
    grid: tuple[int, int]
    sizes: tuple[int, int, int]
    block_own: int
    block_other: int
    options: dict[str, Any]


def _tiles(own: Tensor, other: Tensor, grad: bool) -> _Tiles:
    r"""A program a block of own rows. Where these are too few for the device, others
    are split as well, until there are two programs a processor."""
    (num_own, dim), num_other = own.shape, other.size(0)
    width = next(width for width in BLOCKS if width >= dim)
    block_own, block_other, num_warps = BLOCKS[width][grad]
    programs = 4
    if own.is_cuda:
        device = torch.cuda.get_device_properties(own.device)
        programs = 2 * device.multi_processor_count
    num_blocks, num_others = -(-num_own // block_own), -(-num_other // block_other)
    splits = max(1, min(programs // num_blocks, num_others))
    per_split = -(-num_others // splits) * block_other
    options = {
        'PRECISION': PRECISION,
        'DIM': dim,
        'WIDTH': width,
        'num_warps': num_warps,
        'num_stages': 2,
        # The default so far; unless it is asked for, Triton 3.9 warns of a change.
        'enable_fp_fusion': True,
    }
    grid = num_blocks, -(-num_other // per_split)
    sizes = num_own, num_other, per_split
    return _Tiles(grid, sizes, block_own, block_other, options)


def _or_zeros(shift: Optional[Tensor], keys: Tensor) -> Tensor:
    return keys.new_zeros(keys.size(0)) if shift is None else shift.contiguous()


def _check(x: Tensor) -> None:
    if x.dtype != torch.float32:
        raise ValueError(
            f"impl='triton' computes in torch.float32, got {x.dtype}: take "
            "impl='eager' or 'chunked'"
        )
    if x.size(1) > max(BLOCKS):
        raise ValueError(
            f"impl='triton' takes rows of at most {max(BLOCKS)} values, got "
            f"{x.size(1)}: take impl='eager' or 'chunked'"
        )
