from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_irllrec.functional.unit_norm import unit_norm
from pyg_irllrec.utils.user_items import lookup_items


def softmax_loss_eager(
    user: Tensor,
    item: Tensor,
    users: Tensor,
    items: Tensor,
    item_bias: Optional[Tensor],
    known: Optional[tuple[Tensor, Tensor]],
    mask_pairs: bool,
    temperature: float,
    normalize: bool,
) -> Tensor:
    r"""The formula, with all logits of the users of a batch at hand. It is the oracle
    of the faster form."""
    rows, row = users.unique(return_inverse=True)
    query = user[rows]
    if normalize:
        query, item = unit_norm(query), unit_norm(item)
    logits = (query / temperature) @ item.t()
    if item_bias is not None:
        logits = logits + item_bias.to(logits.dtype)
    positive = logits[row, items]
    if not mask_pairs:
        return (logits.logsumexp(dim=1)[row] - positive).mean()
    masked = (
        [(row, items)] if known is None else [(row, items), lookup_items(*known, rows)]
    )
    for at in masked:
        logits = logits.index_put(at, logits.new_tensor(masked_logit(logits.dtype)))
    return -F.logsigmoid(positive - logits.logsumexp(dim=1)[row]).mean()


def masked_logit(dtype: torch.dtype) -> float:
    r"""The logit of what does not compete. Unlike :math:`-\infty`, it leaves finite
    gradients where nothing does."""
    return torch.finfo(dtype).min / 4
