from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional.unit_norm import unit_norm


def info_nce_eager(
    query: Tensor,
    key: Tensor,
    keys: Tensor,
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
) -> Tensor:
    r"""The formula, word for word: holds all :math:`B \times C` logits. It is the
    oracle of every faster form."""
    query, key, keys = unit_norm(query), unit_norm(key), unit_norm(keys)
    positive = (query * key).sum(dim=-1) / temperature
    logits = (query / temperature) @ keys.t()
    if key_weight is not None:
        logits = logits + key_weight.log()
    loss = torch.logsumexp(logits, dim=-1) - positive
    if eps > 0:
        loss = -torch.log(torch.exp(-loss) + eps)
    return loss
