from __future__ import annotations

import math
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_irllrec.functional._kernels.softmax_loss_eager import masked_logit
from pyg_irllrec.functional.unit_norm import unit_norm
from pyg_irllrec.utils.user_items import lookup_items


def softmax_loss_sampled(
    user: Tensor,
    item: Tensor,
    users: Tensor,
    items: Tensor,
    item_bias: Optional[Tensor],
    known: Optional[tuple[Tensor, Tensor]],
    temperature: float,
    normalize: bool,
    num_samples: int,
    sample_weight: Optional[Tensor],
    generator: Optional[torch.Generator],
) -> Tensor:
    r"""The users of a batch against items that are drawn, each weighed by the inverse
    of how often it is expected, so that the denominators are unbiased. An item that is
    drawn :math:`n` times is a single column that counts :math:`n` times."""
    drawn, count, log_share = draw(item, num_samples, sample_weight, generator)
    rows, row = users.unique(return_inverse=True)
    query, chosen, candidates = user[rows], item[items], item[drawn]
    if normalize:
        query, chosen, candidates = map(unit_norm, (query, chosen, candidates))
    query = query / temperature
    positive = (query[row] * chosen).sum(dim=1)
    bias = count.to(item.dtype).log() - log_share - math.log(num_samples)
    if item_bias is not None:
        item_bias = item_bias.to(item.dtype)
        positive, bias = positive + item_bias[items], bias + item_bias[drawn]
    logits = query @ candidates.t() + bias
    masked = (
        [(row, items)] if known is None else [(row, items), lookup_items(*known, rows)]
    )
    for of_row, of_item in masked:
        column = torch.searchsorted(drawn, of_item).clamp(max=drawn.numel() - 1)
        hit = drawn[column] == of_item
        at = of_row[hit], column[hit]
        logits = logits.index_put(at, logits.new_tensor(masked_logit(logits.dtype)))
    return -F.logsigmoid(positive - logits.logsumexp(dim=1)[row]).mean()


def draw(
    item: Tensor,
    num_samples: int,
    weight: Optional[Tensor],
    generator: Optional[torch.Generator],
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Sorted items that are drawn with replacement, how often each is, and the
    logarithm of its share of draws that is expected."""
    shape, num_items = (num_samples,), item.size(0)
    if weight is None:
        drawn = torch.randint(num_items, shape, device=item.device, generator=generator)
    else:
        # torch.multinomial takes 2**24 items at most.
        below = weight.double().cumsum(0)
        at = torch.rand(
            shape, dtype=torch.float64, device=item.device, generator=generator
        )
        drawn = torch.searchsorted(below, at * below[-1], right=True)
        drawn = drawn.clamp_(max=num_items - 1)
    drawn, count = drawn.unique(return_counts=True)
    if weight is None:
        return drawn, count, item.new_tensor(-math.log(num_items))
    return drawn, count, (weight.double()[drawn] / below[-1]).log().to(item.dtype)
