from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.nn import Ranker
from pyg_irllrec.nn.models.recommendation import check_scores
from pyg_irllrec.training.ranking_loader import RankingLoader
from pyg_irllrec.training.ranking_metrics import RankingMetrics
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_vectors
from pyg_irllrec.utils.evaluating import evaluating


@torch.no_grad()
def evaluate(
    user: Tensor,
    item: Tensor,
    label: UserItems,
    exclude: UserItems,
    ks: Sequence[int] = (5, 10, 20),
    batch_size: Optional[int] = None,
    metrics: Sequence[str] = ('recall', 'ndcg'),
) -> dict[str, float]:
    r"""Rank all items for every user with labels, by inner products of embeddings, and
    return the metrics.

    Args:
        user (torch.Tensor): The user embeddings, of shape :math:`(U, d)`.
        item (torch.Tensor): The item embeddings, of shape :math:`(I, d)`.
        label (UserItems): The held-out interactions.
        exclude (UserItems): The training interactions, which are masked.
        ks (sequence of int): The cut-offs. (default: :obj:`(5, 10, 20)`)
        batch_size (int, optional): The number of users to rank items for at once. The
            memory is proportional to :math:`\mathrm{batch\_size} \times I`.
            (default: :obj:`None`, that of :class:`~pyg_irllrec.training.RankingLoader`)
        metrics (sequence of str): The names of the metrics, from :obj:`"recall"`,
            :obj:`"ndcg"`, :obj:`"precision"`, :obj:`"mrr"`, :obj:`"coverage"` and
            :obj:`"popularity"`, see :class:`~pyg_irllrec.training.RankingMetrics`.
            (default: :obj:`("recall", "ndcg")`)

    Returns:
        The value of every metric and cut-off, by names such as :obj:`"recall@20"`.

    Raises:
        ValueError: If embeddings are not finite or not one per node, a score is too
            large for its type, there are no labels, or all of them are masked. If only
            some are, a warning gives their number.

    Example:
        >>> import torch
        >>> from pyg_irllrec.training import evaluate
        >>> from pyg_irllrec.utils import UserItems
        >>> train = UserItems(torch.tensor([[0, 1], [0, 1]]), 2, 4)
        >>> test = UserItems(torch.tensor([[0, 1], [2, 3]]), 2, 4)
        >>> user, item = torch.eye(2), torch.tensor([[1, 1], [1, 2], [3, 1], [0, 0.5]])
        >>> evaluate(user, item, test, train, ks=[1, 3], metrics=['recall'])
        {'recall@1': 0.5, 'recall@3': 1.0}
    """
    check_instance('label', label, UserItems)
    check_instance('exclude', exclude, UserItems)
    check_vectors('user', user, label.num_users, each='per user')
    check_vectors('item', item, label.num_items, each='per item')
    counted = RankingMetrics(ks, metrics, exclude).to(user.device)
    loader = RankingLoader(label.to(user.device), exclude.to(user.device), batch_size)
    for batch in loader:
        counted.rank(user, item, batch)
    return {name: float(value) for name, value in counted.compute().items()}


@torch.no_grad()
def evaluate_ranker(
    ranker: Ranker,
    label: UserItems,
    exclude: UserItems,
    ks: Sequence[int] = (5, 10, 20),
    batch_size: Optional[int] = None,
    metrics: Sequence[str] = ('recall', 'ndcg'),
) -> dict[str, float]:
    r"""Rank all items for every user with labels by the scores of a ranker, and return
    the metrics. The ranker runs on its device, in evaluation mode.

    Args:
        ranker (Ranker): A ranker, such as a :class:`~pyg_irllrec.nn.Recommender` or a
            baseline (:class:`~pyg_irllrec.nn.EASE`).
        label (UserItems): The held-out interactions.
        exclude (UserItems): The training interactions, which are masked.
        ks (sequence of int): The cut-offs. (default: :obj:`(5, 10, 20)`)
        batch_size (int, optional): The number of users to rank items for at once. The
            memory is proportional to :math:`\mathrm{batch\_size} \times I`.
            (default: :obj:`None`, that of :class:`~pyg_irllrec.training.RankingLoader`)
        metrics (sequence of str): The names of the metrics, see :func:`evaluate`.
            (default: :obj:`("recall", "ndcg")`)

    Returns:
        The value of every metric and cut-off, by names such as :obj:`"recall@20"`.

    Raises:
        ValueError: If sizes differ, a score is not finite, there are no labels, or all
            of them are masked. If only some are, a warning gives their number.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import EASE
        >>> from pyg_irllrec.training import evaluate_ranker
        >>> from pyg_irllrec.utils import UserItems
        >>> train = torch.tensor([[0, 0, 1, 1, 2], [0, 1, 0, 1, 0]])
        >>> test = torch.tensor([[2], [1]])
        >>> ranker = EASE(3, 3, train, l2_weight=1.0)
        >>> splits = UserItems(test, 3, 3), UserItems(train, 3, 3)
        >>> evaluate_ranker(ranker, *splits, ks=[1], metrics=['recall', 'mrr'])
        {'recall@1': 1.0, 'mrr@1': 1.0}
    """
    check_instance('ranker', ranker, Ranker)
    check_instance('label', label, UserItems)
    check_instance('exclude', exclude, UserItems)
    sizes = ranker.num_users, ranker.num_items
    if (label.num_users, label.num_items) != sizes:
        raise ValueError(
            f"'label' must have the users and items of 'ranker', {sizes[0]} and "
            f'{sizes[1]}, got {label.num_users} and {label.num_items}'
        )
    device = ranker.device
    counted = RankingMetrics(ks, metrics, exclude).to(device)
    if counted.max_k > ranker.num_items:
        raise ValueError(
            f"'ks' must be at most {ranker.num_items}, the number of items, got "
            f'{counted.max_k}: use fitting_cutoffs(num_items)'
        )
    loader = RankingLoader(label.to(device), exclude.to(device), batch_size)
    with evaluating(ranker):
        scorer = ranker.scorer()
        for batch in loader:
            score = check_scores(scorer(batch.user), batch.user.numel(), sizes[1])
            counted.rank_scores(score, batch)
    return {name: float(value) for name, value in counted.compute().items()}
