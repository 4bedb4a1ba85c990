from __future__ import annotations

import math
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_irllrec.functional._kernels._batch_users import (
    BatchUsers,
    batch_users,
    known_cells,
)
from pyg_irllrec.functional._kernels.softmax_loss_eager import masked_logit
from pyg_irllrec.functional._reduction import reduce_rows
from pyg_irllrec.functional.unit_norm import unit_norm


def softmax_loss_sampled(
    user: Tensor,
    item: Tensor,
    users: Tensor,
    items: Tensor,
    weight: Optional[Tensor],
    max_users: Optional[int],
    item_bias: Optional[Tensor],
    known: Optional[tuple[Tensor, Tensor]],
    temperature: float,
    normalize: bool,
    num_samples: int,
    sample_weight: Optional[Tensor],
    generator: Optional[torch.Generator],
) -> Tensor:
    r"""Score the users of a batch against sampled items, each weighted by the inverse
    of its expected count, so that the denominators are unbiased. An item that is drawn
    :math:`n` times is one column with weight :math:`n`."""
    batch = batch_users(users, max_users)
    drawn, count, log_share = draw(
        item, num_samples, sample_weight, generator, batch.is_fixed
    )
    bias = count.to(item.dtype).log() - log_share - math.log(num_samples)
    given = user, item, users, items, weight, item_bias, known, temperature, normalize
    return softmax_loss_of_drawn(*given, batch, drawn, bias)


def softmax_loss_of_drawn(
    user: Tensor,
    item: Tensor,
    users: Tensor,
    items: Tensor,
    weight: Optional[Tensor],
    item_bias: Optional[Tensor],
    known: Optional[tuple[Tensor, Tensor]],
    temperature: float,
    normalize: bool,
    batch: BatchUsers,
    drawn: Tensor,
    bias: Union[Tensor, float],
) -> Tensor:
    r"""The users of a batch against sorted items, whose logits are raised by
    :obj:`bias`, the logarithm of how many items each represents."""
    row = batch.row
    query, chosen, candidates = user[batch.users], item[items], item[drawn]
    if normalize:
        query, chosen, candidates = map(unit_norm, (query, chosen, candidates))
    query = query / temperature
    positive = (query[row] * chosen).sum(dim=1)
    if item_bias is not None:
        item_bias = item_bias.to(item.dtype)
        positive, bias = positive + item_bias[items], bias + item_bias[drawn]
    logits = query @ candidates.t() + bias
    masked = [(row, items)]
    if known is not None:
        masked.append(known_cells(batch, users, *known))
    num_rows, num_drawn = logits.shape
    mask = torch.zeros(num_rows + 1, num_drawn, dtype=torch.bool, device=item.device)
    for of_row, of_item in masked:
        column = torch.searchsorted(drawn, of_item).clamp(max=num_drawn - 1)
        of_row = torch.where(drawn[column] == of_item, of_row, num_rows)
        mask.view(-1).index_fill_(0, of_row * num_drawn + column, True)
    logits = logits.masked_fill(mask[:-1], masked_logit(logits.dtype))
    loss = -F.logsigmoid(positive - logits.logsumexp(dim=1)[row])
    return reduce_rows(loss, 'mean', weight)


def draw(
    item: Tensor,
    num_samples: int,
    weight: Optional[Tensor],
    generator: Optional[torch.Generator],
    is_fixed: bool,
) -> tuple[Tensor, Tensor, Union[Tensor, float]]:
    r"""Draw items with replacement. Return the distinct items, sorted, the count of
    each, and the logarithm of its expected share of the draws. With fixed shapes, an
    item may be repeated with a count of 0."""
    shape, num_items = (num_samples,), item.size(0)
    if weight is None:
        drawn = torch.randint(num_items, shape, device=item.device, generator=generator)
    else:
        # torch.multinomial supports at most 2**24 items.
        below = weight.double().cumsum(0)
        at = torch.rand(
            shape, dtype=torch.float64, device=item.device, generator=generator
        )
        drawn = torch.searchsorted(below, at * below[-1], right=True)
        drawn = drawn.clamp_(max=num_items - 1)
    drawn, count = _count(drawn) if is_fixed else drawn.unique(return_counts=True)
    if weight is None:
        return drawn, count, -math.log(num_items)
    return drawn, count, (weight.double()[drawn] / below[-1]).log().to(item.dtype)


def _count(drawn: Tensor) -> tuple[Tensor, Tensor]:
    r"""Sort numbers, and count each at its first position. Other positions get 0."""
    drawn, _ = drawn.sort()
    first = torch.searchsorted(drawn, drawn)
    count = torch.searchsorted(drawn, drawn, right=True) - first
    place = torch.arange(drawn.numel(), device=drawn.device)
    return drawn, torch.where(first == place, count, 0)
