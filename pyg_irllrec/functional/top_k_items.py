from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.checks import check_matrix


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
        ValueError: If the embeddings are no matrices of one width, or :obj:`k` is no
            integer from one to the number of items.
    """
    check_matrix('user', user, may_be_empty=True)
    check_matrix('item', item)
    if user.size(1) != item.size(1):
        raise ValueError(
            f"'item' must be as wide as 'user', {user.size(1)}, got {item.size(1)}"
        )
    if not isinstance(k, int) or not 1 <= k <= item.size(0):
        raise ValueError(
            "'k' must be an integer from 1 to the number of items, "
            f'{item.size(0)}, got {k}'
        )
    # Rounded to eight bits of mantissa, scores tie.
    with torch.autocast(user.device.type, enabled=False):
        score = user @ item.t()
    if exclude is not None:
        score[exclude] = -torch.inf
    return TopK(*score.topk(k, dim=-1))
