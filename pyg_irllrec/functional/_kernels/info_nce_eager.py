from __future__ import annotations

import math
from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._reduction import reduce_rows
from pyg_irllrec.functional.unit_norm import unit_norm


def info_nce_eager(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    weight: Optional[Tensor],
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
    reduction: str,
) -> Tensor:
    r"""The formula as written, which stores all :math:`B \times C` logits. It is the
    reference for all faster implementations."""
    query, key = unit_norm(torch.cat([query, key])).split(query.size(0))
    keys = key if keys is None else unit_norm(keys)
    positive = (query * key).sum(dim=-1) / temperature
    logits = (query / temperature) @ keys.t()
    if key_weight is not None:
        logits = logits + key_weight.to(logits.dtype).log()
    loss = torch.logsumexp(logits, dim=-1) - positive
    if eps > 0:
        loss = floor_probability(loss, eps)
    return reduce_rows(loss, reduction, weight)


def floor_probability(loss: Tensor, eps: float) -> Tensor:
    r""":math:`-\log(p + \epsilon)` from :math:`-\log p`, also if :math:`p` overflows,
    which is possible if the keys do not include the positive."""
    if eps == 0:
        return loss
    return -torch.logaddexp(-loss, loss.new_full((), math.log(eps)))


def floored_share(loss: Tensor, eps: float) -> Tensor:
    r"""The derivative of :func:`floor_probability`, :math:`p / (p + \epsilon)`."""
    return torch.sigmoid(-loss - math.log(eps))
