from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.adjacency import check_node_ids, source_and_target
from pyg_irllrec.utils.checks import check_ids, check_matrix
from pyg_irllrec.utils.user_items import UserItems

Scorer = Callable[[Tensor], Tensor]
"""Maps user ids of shape :math:`(B)` to the scores of all items, :math:`(B, I)`."""


class Recommendation(NamedTuple):
    r"""The best items for each user, best first. Both tensors have shape :math:`(B,
    k)`.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import Popularity
        >>> ratings = torch.tensor([[0, 0, 1], [0, 1, 1]])
        >>> model = Popularity(2, 3, ratings)
        >>> model.recommend(torch.tensor([0, 1]), k=2, exclude=ratings)
        Recommendation(item=tensor([[ 2, -1],
                [ 0,  2]]), score=tensor([[0., -inf],
                [1., 0.]]))
    """

    item: Tensor
    """Item ids, padded with -1 if fewer than :math:`k` items were left to recommend."""
    score: Tensor
    """The scores of these items; :math:`-\\infty` for the id -1."""


def recommend(
    scorer: Scorer,
    num_items: int,
    users: Tensor,
    k: int,
    exclude: Optional[UserItems],
    batch_size: int,
) -> Recommendation:
    r"""Return the :obj:`k` items with the highest scores for each user."""
    exclude = None if exclude is None else exclude.to(users.device)
    items, scores = [], []
    for batch in users.split(min(batch_size, max(users.numel(), 1))):
        score = check_scores(scorer(batch), batch.numel(), num_items)
        if exclude is not None:
            score = mask(score, exclude.lookup(batch))
        best = score.topk(k, dim=-1)
        check_best(best.values, batch)
        found = best.values > -torch.inf
        items.append(best.indices.where(found, best.indices.new_tensor(-1)))
        scores.append(best.values)
    return Recommendation(torch.cat(items), torch.cat(scores))


def check_scores(score: object, num_users: int, num_items: int) -> Tensor:
    r"""Return the scores unchanged.

    Raises:
        ValueError: If the scores are not a floating-point tensor with one score per
            user and item.
    """
    if not isinstance(score, Tensor) or score.shape != (num_users, num_items):
        got = tuple(score.shape) if isinstance(score, Tensor) else type(score).__name__
        raise ValueError(
            "'score' must return one score per user and item, of shape "
            f'({num_users}, {num_items}), got {got}'
        )
    check_matrix('score', score, may_be_empty=True)
    return score


def check_best(values: Tensor, user: Tensor) -> None:
    r"""Raise a :class:`ValueError` if the best score of a user is NaN or infinite,
    which ranks before all other values."""
    best = values[:, 0]
    wrong = best.isnan() | best.isposinf()
    if bool(wrong.any()):
        place = int(wrong.nonzero()[0])
        raise ValueError(
            f'scores must be finite, got {best[place].item()} for user '
            f'{int(user[place])}: the embeddings contain NaN or are too large (if this '
            'happens in training, it has diverged: lower the learning rate)'
        )


def mask(score: Tensor, pairs: tuple[Tensor, Tensor]) -> Tensor:
    r"""Return a copy of the scores with :math:`-\infty` at the given rows and items. A
    copy, because a scorer may return a tensor that it keeps."""
    return score.index_put(pairs, score.new_full((), -torch.inf))


def check_pairs(name: str, pairs: object, num_users: int, num_items: int) -> Tensor:
    r"""Return the user and item ids unchanged.

    Raises:
        ValueError: If :obj:`pairs` is not a row of valid user ids and a row of valid
            item ids.
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
    r"""Raise a :class:`ValueError` unless the user ids are valid and :obj:`k` is at
    most the number of items."""
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
