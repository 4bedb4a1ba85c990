from __future__ import annotations

from numbers import Integral
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional.top_k_items import top_k_items
from pyg_irllrec.utils.adjacency import check_node_ids, source_and_target
from pyg_irllrec.utils.checks import check_ids
from pyg_irllrec.utils.user_items import UserItems


class Recommendation(NamedTuple):
    r"""The best items of each user, best first, both of shape :math:`(B, k)`."""

    item: Tensor
    """Item ids; -1 where fewer than :math:`k` items were left to recommend."""
    score: Tensor
    """Their scores; :math:`-\\infty` where the id is -1."""


def recommend(
    user_embedding: Tensor,
    item_embedding: Tensor,
    users: Tensor,
    k: int,
    exclude: Optional[UserItems],
    batch_size: int,
) -> Recommendation:
    r"""The best :obj:`k` items of each user by inner product."""
    exclude = None if exclude is None else exclude.to(users.device)
    items, scores = [], []
    for batch in users.split(min(batch_size, max(users.numel(), 1))):
        pairs = None if exclude is None else exclude.lookup(batch)
        score, item = top_k_items(user_embedding[batch], item_embedding, k, pairs)
        items.append(item.where(score > -torch.inf, item.new_tensor(-1)))
        scores.append(score)
    return Recommendation(torch.cat(items), torch.cat(scores))


def check_pairs(name: str, pairs: object, num_users: int, num_items: int) -> Tensor:
    r"""The user and item ids :obj:`pairs` as they are.

    Raises:
        ValueError: If they are no ids of users above ids of items.
    """
    if not isinstance(pairs, Tensor) or pairs.dim() != 2 or pairs.size(0) != 2:
        got = tuple(pairs.shape) if isinstance(pairs, Tensor) else type(pairs).__name__
        raise ValueError(
            f"'{name}' must be user and item ids of shape (2, num_pairs), got {got}"
        )
    check_ids(name, pairs)
    if not torch.compiler.is_compiling():
        user, item = source_and_target(pairs)
        check_node_ids(user, num_users, f'{name}[0] (users)')
        check_node_ids(item, num_items, f'{name}[1] (items)')
    return pairs


def check_queries(users: Tensor, k: int, num_users: int, num_items: int) -> None:
    r"""Raises a :class:`ValueError` unless the ids are those of users and there are
    :obj:`k` items."""
    if users.dim() != 1:
        raise ValueError(
            f"'users' must be a vector of ids, got shape {tuple(users.shape)}"
        )
    if users.numel() > 0:
        check_ids('users', users)
    check_node_ids(users, num_users, 'users')
    if isinstance(k, bool) or not isinstance(k, Integral) or not 1 <= k <= num_items:
        raise ValueError(
            f"'k' must be an integer from 1 to the number of items, {num_items}, got "
            f'{k!r}'
        )
