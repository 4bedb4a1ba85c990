from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor


class TopK(NamedTuple):
    r"""Scores and item ids, best first, both of shape :math:`(B, k)`."""

    values: Tensor
    indices: Tensor


def top_k_items(
    user: Tensor,
    item: Tensor,
    k: int,
    exclude: Optional[tuple[Tensor, Tensor]] = None,
) -> TopK:
    r"""The :math:`k` items of highest inner product for each row of users, best
    first.

    Args:
        user (torch.Tensor): User embeddings, of shape :math:`(B, d)`.
        item (torch.Tensor): Item embeddings, of shape :math:`(I, d)`.
        k (int): The number of items.
        exclude (tuple, optional): Rows of :obj:`user` and items of :obj:`item`
            that score :math:`-\infty`. (default: :obj:`None`)

    Raises:
        ValueError: If :obj:`k` is below one or above the number of items.
    """
    if not 1 <= k <= item.size(0):
        raise ValueError(
            f"'k' must be from 1 to the number of items, {item.size(0)}, got {k}"
        )
    # Rounded to eight bits of mantissa, scores tie.
    with torch.autocast(user.device.type, enabled=False):
        score = user @ item.t()
    if exclude is not None:
        score[exclude] = -torch.inf
    return TopK(*score.topk(k, dim=-1))
