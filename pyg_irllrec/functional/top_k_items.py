from __future__ import annotations

from numbers import Integral
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.adjacency import check_node_ids
from pyg_irllrec.utils.checks import check_ids, check_length, check_matrix


class TopK(NamedTuple):
    r"""The scores and ids of items, best first, both of shape :math:`(B, k)`."""

    values: Tensor
    indices: Tensor


def top_k_items(
    user: Tensor,
    item: Tensor,
    k: int,
    exclude: Optional[tuple[Tensor, Tensor]] = None,
) -> TopK:
    r"""The :math:`k` items with the highest inner product for each user, best first.

    Args:
        user (torch.Tensor): User embeddings of shape :math:`(B, d)`.
        item (torch.Tensor): Item embeddings of shape :math:`(I, d)`.
        k (int): The number of items per user, from 1 to :math:`I`.
        exclude (tuple, optional): Rows of :obj:`user` and rows of :obj:`item`, one
            pair for each score that is replaced by :math:`-\infty`.
            (default: :obj:`None`)

    Raises:
        ValueError: If the embeddings are not matrices of the same width and dtype,
            :obj:`k` is out of range, or :obj:`exclude` is not a pair of ids.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import top_k_items
        >>> user, item = torch.tensor([[1.0]]), torch.tensor([[3.0], [1.0], [2.0]])
        >>> top_k_items(user, item, k=2).indices
        tensor([[0, 2]])
        >>> seen = torch.tensor([0]), torch.tensor([0])  # User 0, item 0.
        >>> top_k_items(user, item, k=2, exclude=seen).indices
        tensor([[2, 1]])
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
    # Scores with eight bits of mantissa would tie.
    with torch.autocast(user.device.type, enabled=False):
        score = user @ item.t()
    if exclude is not None:
        rows, items = exclude
        score[rows, items] = -torch.inf
    return TopK(*score.topk(k, dim=-1))


def check_exclude(exclude: object, num_rows: int, num_items: int) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`exclude` is a pair of id vectors of the
    same length. Values are checked on a CPU only."""
    if not isinstance(exclude, (tuple, list)) or len(exclude) != 2:
        raise ValueError(
            "'exclude' must be a pair of tensors (rows of 'user', rows of 'item'), "
            f'got {type(exclude).__name__}'
        )
    for place, (value, count) in enumerate(zip(exclude, (num_rows, num_items))):
        name = f'exclude[{place}]'
        if not isinstance(value, Tensor):
            raise ValueError(f"'{name}' must be a tensor, got {type(value).__name__}")
        check_length(name, value, exclude[0].numel())
        check_ids(name, value)
        if value.is_cpu:
            check_node_ids(value, count, name)
