from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor


def top_k_items(
    user: Tensor,
    item: Tensor,
    k: int,
    exclude: Optional[tuple[Tensor, Tensor]] = None,
) -> tuple[Tensor, Tensor]:
    r"""The :math:`k` items of highest inner product for each row of users, best
    first.

    Args:
        user (torch.Tensor): User embeddings, of shape :math:`(B, d)`.
        item (torch.Tensor): Item embeddings, of shape :math:`(I, d)`.
        k (int): The number of items.
        exclude (tuple, optional): Rows of :obj:`user` and items of :obj:`item`
            that score :math:`-\infty`. (default: :obj:`None`)

    Returns:
        Scores and item ids, both of shape :math:`(B, k)`.

    Raises:
        ValueError: If :obj:`k` is below one or above the number of items.
    """
    if not 1 <= k <= item.size(0):
        raise ValueError(
            f"'k' must be from 1 to the number of items, {item.size(0)}, got {k}"
        )
    score = user @ item.t()
    if exclude is not None:
        score[exclude] = -torch.inf
    top = score.topk(k, dim=-1)
    return top.values, top.indices
