from __future__ import annotations

from numbers import Integral
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.adjacency import check_node_ids
from pyg_irllrec.utils.checks import check_ids, check_length, check_matrix


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
            integer from one to the number of items, or :obj:`exclude` is no pair of
            ids.
    """
    check_matrix('user', user, may_be_empty=True)
    check_matrix('item', item)
    if user.dtype != item.dtype:
        raise ValueError(
            f"'item' must have the dtype of 'user', {user.dtype}, got {item.dtype}"
        )
    if user.size(1) != item.size(1):
        raise ValueError(
            f"'item' must be as wide as 'user', {user.size(1)}, got {item.size(1)}"
        )
    if type(k) is bool or not isinstance(k, Integral) or not 1 <= k <= item.size(0):
        raise ValueError(
            "'k' must be an integer from 1 to the number of items, "
            f'{item.size(0)}, got {k}'
        )
    if exclude is not None:
        check_exclude(exclude, user.size(0), item.size(0))
    # Rounded to eight bits of mantissa, scores tie.
    with torch.autocast(user.device.type, enabled=False):
        score = user @ item.t()
    if exclude is not None:
        rows, items = exclude
        score[rows, items] = -torch.inf
    return TopK(*score.topk(k, dim=-1))


def check_exclude(exclude: object, num_rows: int, num_items: int) -> None:
    r"""Raise a :class:`ValueError` unless there are as many rows as items. Where they
    lie on a CPU, their values are looked at too."""
    if not isinstance(exclude, (tuple, list)) or len(exclude) != 2:
        raise ValueError(
            "'exclude' must be a pair of tensors, rows of 'user' and of 'item', got "
            f'{type(exclude).__name__}'
        )
    for place, (value, count) in enumerate(zip(exclude, (num_rows, num_items))):
        name = f'exclude[{place}]'
        if not isinstance(value, Tensor):
            raise ValueError(f"'{name}' must be a tensor, got {type(value).__name__}")
        check_length(name, value, exclude[0].numel())
        check_ids(name, value)
        if value.is_cpu:
            check_node_ids(value, count, name)
