from __future__ import annotations

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
    r"""The formula, word for word: holds all :math:`B \times C` logits. It is the
    oracle of every faster form."""
    query, key = unit_norm(query), unit_norm(key)
    keys = key if keys is None else unit_norm(keys)
    positive = (query * key).sum(dim=-1) / temperature
    logits = (query / temperature) @ keys.t()
    if key_weight is not None:
        logits = logits + key_weight.log()
    loss = torch.logsumexp(logits, dim=-1) - positive
    return reduce_rows(floor_probability(loss, eps), reduction, weight)


def floor_probability(loss: Tensor, eps: float) -> Tensor:
    r""":math:`-\log(p + \epsilon)` from :math:`-\log p`."""
    return loss if eps == 0 else -torch.log(torch.exp(-loss) + eps)
