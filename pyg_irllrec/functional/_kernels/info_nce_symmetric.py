from __future__ import annotations

from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_chunked import (
    LN_2,
    LOG2_E,
    blocks,
    write_logits,
)
from pyg_irllrec.functional._kernels.info_nce_eager import (
    floor_probability,
    floored_share,
)
from pyg_irllrec.functional._reduction import row_scale
from pyg_irllrec.functional._second_order import refuse_second_order
from pyg_irllrec.functional._unit import unit, unit_backward


def info_nce_symmetric(
    query: Tensor,
    key: Tensor,
    weight: Optional[Tensor],
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
    reduction: str,
) -> Tensor:
    r"""The mean of both directions, computed in blocks of logits that both directions
    share: one pass for the sums over rows and columns, and one for the gradients. It
    needs four matrix products, while two separate calls need six."""
    ones = query.new_ones(query.size(0))
    scale = row_scale(query, weight, reduction)
    count = ones if key_weight is None else key_weight.to(query.dtype)
    needs_grad = torch.is_grad_enabled() and (
        query.requires_grad or key.requires_grad or scale.requires_grad
    )
    total: Tensor
    query, key = query.contiguous(), key.contiguous()
    total, *_ = _sum(query, key, scale, count, temperature, eps, needs_grad)
    return total


@torch.library.custom_op('pyg_irllrec::info_nce_symmetric_sum', mutates_args=())
def _sum(
    query: Tensor,
    key: Tensor,
    scale: Tensor,
    count: Tensor,
    temperature: float,
    eps: float,
    needs_grad: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""The sum of scaled losses, the loss of each row, and the gradients of the sum
    with respect to query and key."""
    query, query_norm = unit(query)
    key, key_norm = unit(key)
    high = count.amax()  # A sum of huge weights would overflow.
    count = count / high
    size, dim = query.shape
    streams, height = blocks(size, size, dim, query.device.type == 'cpu')
    missing = -size % streams
    x = F.pad(query * (LOG2_E / temperature), (0, 0, 0, missing)).view(streams, -1, dim)
    # Padding has a weight of 0.
    row_count = F.pad(count, (0, missing)).view(streams, -1, 1)
    parts = [slice(start, start + height) for start in range(0, x.size(1), height)]
    key_streams = key.expand(streams, size, dim)
    tile = query.new_empty(streams * height * size)

    def exponentials(part: slice) -> Tensor:
        rows = x[:, part].contiguous()
        out = tile[: streams * rows.size(1) * size].view(streams, size, -1)
        write_logits(rows, key_streams, None, out)
        return out.exp2_()

    row_sums = torch.empty_like(row_count)
    column_sums = query.new_zeros(streams, size, 1)
    for part in parts:
        block = exponentials(part)
        row_sums[:, part] = (block.transpose(1, 2) @ count).unsqueeze(2)
        column_sums.baddbmm_(block, row_count[:, part].contiguous())
    row_sum = row_sums.flatten()[:size]
    column_sum = column_sums.sum(dim=0).flatten()
    positive = (query * key).sum(dim=1).mul_(LOG2_E / temperature).sub_(high.log2())
    losses = [(sums.log2() - positive).mul_(LN_2) for sums in (row_sum, column_sum)]
    there, back = (floor_probability(value, eps) for value in losses)
    loss = (there + back) / 2
    total = torch.dot(loss, scale)
    if not needs_grad:
        return total, loss, query.new_empty(0), query.new_empty(0)

    # The derivatives of the sum with respect to the log-sum-exp of rows and of columns.
    slopes = [
        scale / 2 if eps == 0 else scale / 2 * floored_share(value, eps)
        for value in losses
    ]
    by_row, by_column = slopes[0] / row_sum, (slopes[1] / column_sum).unsqueeze(1)
    by_row = F.pad(by_row, (0, missing)).view(streams, 1, -1)
    row_count = row_count.transpose(1, 2)
    grad_query = torch.empty_like(x)
    grad_keys = query.new_zeros(streams, size, dim)
    weight = torch.empty_like(tile)
    for part in parts:
        block = exponentials(part)
        share = weight[: block.numel()].view_as(block)
        torch.mul(by_row[..., part], count.unsqueeze(1), out=share)
        block.mul_(share.addcmul_(row_count[..., part], by_column))
        grad_query[:, part] = torch.bmm(block.transpose(1, 2), key_streams)
        grad_keys.baddbmm_(block, x[:, part].contiguous())
    both = (slopes[0] + slopes[1]).unsqueeze(1)
    grad_query = grad_query.flatten(0, 1)[:size]
    grad_query.addcmul_(both, key, value=-1).div_(temperature)
    grad_key = grad_keys.sum(dim=0).mul_(LN_2)
    grad_key.addcmul_(both, query, value=-1 / temperature)
    unit_backward(grad_query, query, query_norm)
    unit_backward(grad_key, key, key_norm)
    return total, loss, grad_query, grad_key


@_sum.register_fake
def _(query, key, scale, count, temperature, eps, needs_grad):  # type: ignore[no-untyped-def]
    grads = [
        torch.empty_like(x) if needs_grad else x.new_empty(0) for x in (query, key)
    ]
    return query.new_empty(()), torch.empty_like(scale), *grads


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:])


def _backward(ctx: Any, upstream: Optional[Tensor], *_: Any) -> tuple[Any, ...]:
    if torch.is_grad_enabled():
        refuse_second_order("impl='chunked'")
    if upstream is None:
        return (None,) * 7
    loss, grad_query, grad_key = (value * upstream for value in ctx.saved_tensors)
    return grad_query, grad_key, loss, *(None,) * 4


_sum.register_autograd(_backward, setup_context=_setup)
