from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_irllrec.functional._kernels._batch_users import batch_users, known_cells
from pyg_irllrec.functional._reduction import reduce_rows
from pyg_irllrec.functional.unit_norm import unit_norm


def softmax_loss_eager(
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
    r"""The formula as written, which stores all logits of the users of a batch. It is
    the reference for the chunked implementation."""
    batch = batch_users(users, max_users)
    row, query = batch.row, user[batch.users]
    if normalize:
        query, item = unit_norm(query), unit_norm(item)
    logits = (query / temperature) @ item.t()
    if item_bias is not None:
        logits = logits + item_bias.to(logits.dtype)
    positive = logits[row, items]
    if not mask_pairs:
        loss = logits.logsumexp(dim=1)[row] - positive
        return reduce_rows(loss, 'mean', weight)
    num_rows, num_items = logits.shape
    mask = torch.zeros(num_rows + 1, num_items, dtype=torch.bool, device=item.device)
    masked = [(row, items)]
    if known is not None:
        masked.append(known_cells(batch, users, *known))
    for of_row, of_item in masked:
        mask.view(-1).index_fill_(0, of_row * num_items + of_item, True)
    logits = logits.masked_fill(mask[:-1], masked_logit(logits.dtype))
    loss = -F.logsigmoid(positive - logits.logsumexp(dim=1)[row])
    return reduce_rows(loss, 'mean', weight)


def masked_logit(dtype: torch.dtype) -> float:
    r"""The logit of items that are left out. Unlike :math:`-\infty`, it keeps gradients
    finite if all items are left out."""
    return torch.finfo(dtype).min / 4
