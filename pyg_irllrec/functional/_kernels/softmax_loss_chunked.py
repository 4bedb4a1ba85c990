from __future__ import annotations

from typing import Any, Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_irllrec.functional._kernels._batch_users import batch_users, known_cells
from pyg_irllrec.functional._kernels.info_nce_chunked import (
    LN_2,
    LOG2_E,
    UNSHIFTED_FROM,
    blocks,
    exponentiate,
    write_logits,
)
from pyg_irllrec.functional._kernels.softmax_loss_eager import masked_logit
from pyg_irllrec.functional._reduction import over_largest
from pyg_irllrec.functional._second_order import refuse_second_order
from pyg_irllrec.functional._unit import unit, unit_backward


def softmax_loss_chunked(
    user: Tensor,
    item: Tensor,
    users: Tensor,
    items: Tensor,
    weight: Optional[Tensor],
    max_users: Optional[int],
    item_bias: Optional[Tensor],
    known: Optional[tuple[Tensor, Tensor]],
    mask_pairs: bool,
    temperature: float,
    normalize: bool,
) -> Tensor:
    r"""Score blocks of the distinct users of a batch against all items, in
    :math:`O((U + I) d + B)` memory. The forward pass also computes the gradients of
    each block: three matrix products and one exponential for forward and backward
    together."""
    rowptr, known_item = (None, None) if known is None else known
    needs_grad = torch.is_grad_enabled() and (user.requires_grad or item.requires_grad)
    loss: Tensor
    loss, *_ = _mean(
        user.contiguous(),
        item.contiguous(),
        users,
        items,
        weight,
        max_users,
        item_bias,
        rowptr,
        known_item,
        mask_pairs,
        temperature,
        normalize,
        needs_grad,
    )
    return loss


@torch.library.custom_op('pyg_irllrec::softmax_loss', mutates_args=())
def _mean(
    user: Tensor,
    item: Tensor,
    users: Tensor,
    items: Tensor,
    weight: Optional[Tensor],
    max_users: Optional[int],
    item_bias: Optional[Tensor],
    rowptr: Optional[Tensor],
    known_item: Optional[Tensor],
    mask_pairs: bool,
    temperature: float,
    normalize: bool,
    needs_grad: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The mean loss, and its gradients with respect to users and items."""
    num_pairs, num_items, dim = users.numel(), item.size(0), item.size(1)
    cpu = item.device.type == 'cpu'
    if max_users is None:  # After sorting, the pairs of a block are a slice.
        users, order = users.sort()
        items = items[order]
        weight = None if weight is None else weight[order]
    total: Union[Tensor, int] = num_pairs
    if weight is not None:
        weight = over_largest(weight, user.dtype)
        total = weight.sum()
    batch = batch_users(users, max_users)
    rows, row, is_fixed = batch
    query, keys = user[rows], item
    if normalize:
        query, query_norm = unit(query)
        keys, keys_norm = unit(keys)
    bias = None if item_bias is None else item_bias.to(keys.dtype) * LOG2_E
    bounded = normalize and bias is None and temperature >= UNSHIFTED_FROM

    streams, height = blocks(rows.numel(), num_items, dim, cpu)
    step = streams * height
    num_blocks = -(-rows.numel() // step)
    x = F.pad(
        query * (LOG2_E / temperature), (0, 0, 0, num_blocks * step - rows.numel())
    )
    shape = streams, num_items, height
    pairs = _Cells(row, items, shape, num_blocks, is_fixed)
    masked = [pairs] if mask_pairs else []
    if rowptr is not None and known_item is not None:
        others = known_cells(batch, users, rowptr, known_item)
        masked.append(_Cells(*others, shape, num_blocks, is_fixed))

    key_streams = keys.expand(streams, num_items, dim)
    cells = x.new_empty(pairs.unused + 1)
    cells[pairs.unused :].zero_()
    tile = cells[: pairs.unused].view(shape)
    loss = x.new_zeros(num_pairs)
    grad_query = x.new_empty(x.shape if needs_grad else 0)
    grad_keys = x.new_zeros((streams, num_items, dim) if needs_grad else 0)
    for block in range(num_blocks):
        part = slice(block * step, (block + 1) * step)
        chunk = x[part].view(streams, height, dim)
        write_logits(chunk, key_streams, bias, tile)
        here, outside, own = pairs.of(block), pairs.outside(block), pairs.at(block)
        of_row = row[here] - part.start
        if outside is not None:
            of_row.clamp_(0, step - 1)
        positive = cells[own]
        for each in masked:
            cells.index_fill_(0, each.at(block), masked_logit(x.dtype))
        sums, lse = exponentiate(tile, bounded)
        gap = (lse.view(-1)[of_row] - positive).mul_(LN_2)
        losses = -F.logsigmoid(-gap) if masked else gap
        if outside is not None:
            losses = losses.masked_fill(outside, 0)
        loss[here] += losses
        if not needs_grad:
            continue
        pull = gap.sigmoid_() if masked else torch.ones_like(gap)
        if weight is not None:
            pull.mul_(weight[here])
        if outside is not None:
            pull.masked_fill_(outside, 0)
        share = lse.view(-1).zero_().index_add_(0, of_row, pull).div_(sums.view(-1))
        # Divide by the share here, because rows are multiplied by it below.
        least = torch.finfo(x.dtype).tiny
        pull = pull.div_(share.clamp(min=least)[of_row])
        cells.index_add_(0, own, pull, alpha=-1)
        share = share.view(streams, height, 1)
        grad = torch.bmm(tile.transpose(1, 2), key_streams).mul_(share)
        grad_query[part] = grad.flatten(0, 1)
        grad_keys.baddbmm_(tile, chunk.mul_(share))
    if weight is not None:
        loss.mul_(weight)
    mean = loss.sum() / total
    if not needs_grad:
        return mean, x.new_empty(0), x.new_empty(0)

    grad_query = grad_query[: rows.numel()].div_(temperature * total)
    grad_item = grad_keys.sum(dim=0).mul_(LN_2 / total)
    if normalize:
        unit_backward(grad_query, query, query_norm)
        unit_backward(grad_item, keys, keys_norm)
    # Padding after the users has gradients of 0.
    grad_user = torch.zeros_like(user).index_add_(0, rows, grad_query)
    return mean, grad_user, grad_item


class _Cells:
    r"""Cells of the matrix of users and items, for each block of users. If cells are
    sorted by user, those of a block are a slice. With fixed shapes, every block uses
    all cells, and maps cells of other blocks to a position after the matrix."""

    def __init__(
        self,
        row: Tensor,
        item: Tensor,
        shape: tuple[int, int, int],
        num_blocks: int,
        is_fixed: bool,
    ) -> None:
        streams, num_items, height = shape
        step = streams * height
        stream = row % step // height
        self.cell = (stream * num_items + item) * height + row % height
        self.unused = num_items * step
        self.block: Optional[Tensor] = None
        self.bounds: list[int] = []
        if is_fixed:
            self.block = row // step
        else:
            first = torch.arange(num_blocks + 1, device=row.device) * step
            self.bounds = torch.searchsorted(row, first).tolist()

    def of(self, block: int) -> slice:
        r"""The slice of cells to use for a block."""
        if self.block is not None:
            return slice(None)
        return slice(self.bounds[block], self.bounds[block + 1])

    def outside(self, block: int) -> Optional[Tensor]:
        r"""Whether each of these cells is in another block, or :obj:`None` if none
        is."""
        return None if self.block is None else self.block != block

    def at(self, block: int) -> Tensor:
        r"""The positions of the cells in the matrix of a block."""
        cell, outside = self.cell[self.of(block)], self.outside(block)
        return cell if outside is None else cell.masked_fill(outside, self.unused)


@_mean.register_fake
def _(user, item, *inputs):  # type: ignore[no-untyped-def]
    needs_grad = inputs[-1]
    grads = (
        torch.empty_like(x) if needs_grad else x.new_empty(0) for x in (user, item)
    )
    return (item.new_empty(()), *grads)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:])


def _backward(ctx: Any, upstream: Optional[Tensor], *_: Any) -> tuple[Any, ...]:
    if torch.is_grad_enabled():
        refuse_second_order("impl='chunked'")
    if upstream is None:
        return (None,) * 13
    grad_user, grad_item = (value * upstream for value in ctx.saved_tensors)
    return (grad_user, grad_item, *(None,) * 11)


_mean.register_autograd(_backward, setup_context=_setup)
