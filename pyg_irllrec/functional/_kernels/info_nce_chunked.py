from __future__ import annotations

import math
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_eager import (
    floor_probability,
    floored_share,
)
from pyg_irllrec.functional._reduction import row_scale
from pyg_irllrec.functional._second_order import refuse_second_order
from pyg_irllrec.functional._unit import unit, unit_backward

# At this temperature or above, exp(1 / temperature) times the number of keys and its
# inverse are finite in float32, so that the logits of unit rows need no shift.
UNSHIFTED_FROM = 1 / 40

# Logits are in base 2, because exp2 takes a third of the time of exp on a CPU.
LOG2_E, LN_2 = math.log2(math.e), math.log(2)


def info_nce_chunked(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    weight: Optional[Tensor],
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
    reduction: str,
) -> Tensor:
    r"""Contrast blocks of rows with all keys, in :math:`O((B + C) d)` memory. With a
    reduction, the weights of rows are known in the forward pass, which also computes
    the gradients of each block: three matrix products and one exponential for forward
    and backward together. Without a reduction, the backward pass computes the logits
    again.
    """
    if reduction != 'none' and query.is_cpu and not torch.compiler.is_compiling():
        query, key, keys, weight, key_weight = _drop_zero_weights(
            query, key, keys, weight, key_weight
        )
    query, key = query.contiguous(), key.contiguous()
    keys = None if keys is None else keys.contiguous()
    if reduction == 'none':
        rows: Tensor = _rows(query, key, keys, key_weight, temperature, eps)
        return rows if weight is None else rows * weight.to(rows.dtype)
    scale = row_scale(query, weight, reduction)
    needs_grad = torch.is_grad_enabled() and any(
        value is not None and value.requires_grad for value in (query, key, keys, scale)
    )
    total: Tensor
    total, *_ = _sum(query, key, keys, scale, key_weight, temperature, eps, needs_grad)
    return total


def _drop_zero_weights(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    weight: Optional[Tensor],
    key_weight: Optional[Tensor],
) -> tuple[Tensor, Tensor, Optional[Tensor], Optional[Tensor], Optional[Tensor]]:
    r"""Remove rows and keys of weight zero, such as repeated nodes of a batch. On other
    devices counting them would wait for the device."""
    if weight is None and key_weight is None:
        return query, key, keys, None, None
    candidates = key if keys is None else keys
    rows = _nonzero_ids(weight, query.size(0))
    columns = _nonzero_ids(key_weight, candidates.size(0))
    if rows.numel() + columns.numel() == query.size(0) + candidates.size(0):
        return query, key, keys, weight, key_weight
    in_batch = keys is None and torch.equal(rows, columns)
    return (
        query[rows],
        key[rows],
        None if in_batch else candidates[columns],
        None if weight is None else weight[rows],
        None if key_weight is None else key_weight[columns],
    )


def _nonzero_ids(weight: Optional[Tensor], number: int) -> Tensor:
    if weight is None or weight.requires_grad:
        return torch.arange(number)
    return weight.nonzero().flatten()


def blocks(num_rows: int, num_keys: int, dim: int, cpu: bool) -> tuple[int, int]:
    r"""The number of blocks that are processed at once, and the number of rows per
    block. On a CPU, each thread gets one block, which stays in the caches of its core.
    With 64 rows, matrix products run at full speed, and the pass over all gradients of
    keys is amortised. With very many keys, blocks have fewer rows to stay small."""
    if not cpu:
        return 1, max(16, min(num_rows, 2**26 // num_keys))
    streams = max(1, min(torch.get_num_threads(), num_rows, 2**24 // (num_keys * dim)))
    rows = max(16, min(64, 2**23 // num_keys))
    return streams, min(-(-num_rows // streams), rows)


def write_logits(x: Tensor, keys: Tensor, bias: Optional[Tensor], out: Tensor) -> None:
    r"""Write the logits of rows to :obj:`out`, one row per key: the gradient of keys,
    which is the slowest product, then reads them in memory order."""
    if bias is None:
        torch.bmm(keys, x.transpose(1, 2), out=out)
    else:
        torch.baddbmm(bias.unsqueeze(1), keys, x.transpose(1, 2), out=out)


def exponentiate(logits: Tensor, bounded: bool) -> tuple[Tensor, Tensor]:
    r"""Replace logits by their exponentials in place. Return the sums over keys and the
    log-sum-exp of the logits."""
    high = None if bounded else logits.amax(dim=1)
    if high is not None:
        logits.sub_(high.unsqueeze(1))
    sums = logits.exp2_().sum(dim=1)
    # The sum is 0 if all logits of a row are masked.
    sums.clamp_(min=torch.finfo(sums.dtype).tiny)
    lse = sums.log2()
    return sums, lse if high is None else lse.add_(high)


def sweep(
    query: Tensor,
    keys: Tensor,
    bias: Optional[Tensor],
    scale: Tensor,
    positive: Tensor,
    eps: float,
    bounded: bool,
    needs_grad: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The log-sum-exp of the logits :math:`\mathbf{q} \mathbf{c}^{\top}` of every
    row in base 2, and the gradients of the sum of losses with respect to both factors.

    Shapes:
        - **query:** :math:`(S, H, d)`, streams of rows that are processed at once
        - **keys:** :math:`(C, d)`, **bias:** :math:`(C)`
        - **scale**, **positive:** :math:`(S, H)`
        - **output:** :math:`(S, H)`, :math:`(S, H, d)`, :math:`(C, d)`
    """
    (streams, height, dim), num_keys = query.shape, keys.size(0)
    cpu = query.device.type == 'cpu'
    _, rows = blocks(streams * height, num_keys, dim, cpu)
    key_streams = keys.expand(streams, num_keys, dim)
    tile = query.new_empty(streams * rows * num_keys)
    lse = query.new_empty(streams, height)
    grad_query = query.new_empty(streams, height if needs_grad else 0, dim)
    grad_keys = query.new_zeros(streams, num_keys if needs_grad else 0, dim)
    for start in range(0, height, rows):
        part = slice(start, start + rows)
        x = query[:, part].contiguous()
        block = tile[: streams * x.size(1) * num_keys].view(streams, num_keys, -1)
        write_logits(x, key_streams, bias, block)
        sums, lse[:, part] = exponentiate(block, bounded)
        if not needs_grad:
            continue
        weight = scale[:, part] / sums
        if eps > 0:
            gap = lse[:, part] - positive[:, part]
            weight = weight * floored_share(gap * LN_2, eps)
        weight = weight.unsqueeze(2)
        grad_query[:, part] = torch.bmm(block.transpose(1, 2), key_streams).mul_(weight)
        grad_keys.baddbmm_(block, x.mul_(weight))
    return lse, grad_query, grad_keys.sum(dim=0)


@torch.library.custom_op('pyg_irllrec::info_nce_sum', mutates_args=())
def _sum(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    scale: Tensor,
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
    needs_grad: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    r"""The sum of scaled losses, the loss of each row, and the gradients of the sum
    with respect to query, key and keys."""
    query, query_norm = unit(query)
    key, key_norm = unit(key)
    candidates, candidates_norm = (key, key_norm) if keys is None else unit(keys)
    positive = (query * key).sum(dim=1).mul_(LOG2_E / temperature)
    bias = None
    if key_weight is not None:
        bias = key_weight.to(query.dtype).log2()
        high = bias.amax()
        bias = bias - high
        positive.sub_(high)

    num_rows, dim = query.shape
    cpu = query.device.type == 'cpu'
    streams, _ = blocks(num_rows, candidates.size(0), dim, cpu)
    missing = -num_rows % streams
    x = F.pad(query * (LOG2_E / temperature), (0, 0, 0, missing)).view(streams, -1, dim)
    lse, grad_query, grad_candidates = sweep(
        x,
        candidates,
        bias,
        F.pad(scale, (0, missing)).view(streams, -1),
        F.pad(positive, (0, missing)).view(streams, -1),
        eps,
        temperature >= UNSHIFTED_FROM,
        needs_grad,
    )
    loss = (lse.flatten()[:num_rows] - positive).mul_(LN_2)
    rows = floor_probability(loss, eps)
    total = torch.dot(rows, scale)
    if not needs_grad:
        none = [query.new_empty(0) for _ in range(3)]
        return total, rows, none[0], none[1], none[2]

    weight = scale if eps == 0 else scale * floored_share(loss, eps)
    weight = weight.unsqueeze(1) / temperature
    grad_query = grad_query.flatten(0, 1)[:num_rows].div_(temperature)
    grad_query.addcmul_(weight, key, value=-1)
    grad_candidates.mul_(LN_2)
    grad_key = grad_candidates if keys is None else torch.zeros_like(key)
    grad_key.addcmul_(weight, query, value=-1)
    unit_backward(grad_query, query, query_norm)
    unit_backward(grad_key, key, key_norm)
    if keys is None:
        return total, rows, grad_query, grad_key, query.new_empty(0)
    unit_backward(grad_candidates, candidates, candidates_norm)
    return total, rows, grad_query, grad_key, grad_candidates


@_sum.register_fake
def _(query, key, keys, scale, key_weight, temperature, eps, needs_grad):  # type: ignore[no-untyped-def]
    grads = [query, key, keys] if needs_grad else [None, None, None]
    return (
        query.new_empty(()),
        query.new_empty(query.size(0)),
        *(query.new_empty(0) if x is None else torch.empty_like(x) for x in grads),
    )


def _setup_sum(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    _, rows, *grads = output
    ctx.has_keys = inputs[2] is not None
    ctx.save_for_backward(rows, *grads)


def _backward_sum(ctx: Any, upstream: Optional[Tensor], *_: Any) -> tuple[Any, ...]:
    if torch.is_grad_enabled():
        refuse_second_order("impl='chunked'")
    if upstream is None:
        return (None,) * 8
    rows, grad_query, grad_key, grad_keys = (
        value * upstream for value in ctx.saved_tensors
    )
    return (
        grad_query,
        grad_key,
        grad_keys if ctx.has_keys else None,
        rows,
        *(None,) * 4,
    )


_sum.register_autograd(_backward_sum, setup_context=_setup_sum)


@torch.library.custom_op('pyg_irllrec::info_nce_rows', mutates_args=())
def _rows(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
) -> Tensor:
    r"""The loss of each row."""
    scale = query.new_ones(query.size(0))
    out: Tensor
    _, out, *_ = _sum(query, key, keys, scale, key_weight, temperature, eps, False)
    return out


@_rows.register_fake
def _(query, key, keys, key_weight, temperature, eps):  # type: ignore[no-untyped-def]
    return query.new_empty(query.size(0))


def _setup_rows(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:4])
    ctx.options = inputs[4:]


def _backward_rows(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    if torch.is_grad_enabled():
        refuse_second_order("impl='chunked'")
    query, key, keys, key_weight = ctx.saved_tensors
    scale = upstream.contiguous()
    with torch.autocast(query.device.type, enabled=False):
        _, _, grad_query, grad_key, grad_keys = _sum(
            query, key, keys, scale, key_weight, *ctx.options, True
        )
    return grad_query, grad_key, None if keys is None else grad_keys, None, None, None


_rows.register_autograd(_backward_rows, setup_context=_setup_rows)
