from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.metrics import (
    LinkPredMetric,
    LinkPredMetricCollection,
    LinkPredMRR,
    LinkPredNDCG,
    LinkPredPrecision,
    LinkPredRecall,
)

from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.functional.top_k_items import top_k_items
from pyg_irllrec.training.cutoffs import as_cutoffs
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_choice, check_count, check_vectors
from pyg_irllrec.utils.warn_caller import warn_caller

METRICS: dict[str, type[LinkPredMetric]] = {
    'recall': LinkPredRecall,
    'ndcg': LinkPredNDCG,
    'precision': LinkPredPrecision,
    'mrr': LinkPredMRR,
}
"""The ranking metrics by name."""


class RankingBatch(NamedTuple):
    r"""Users to rank all items for. Pairs are (position in :obj:`user`, item)."""

    user: Tensor
    exclude: tuple[Tensor, Tensor]
    label: tuple[Tensor, Tensor]


class RankingLoader:
    r"""Batches of the users who have labels, with what to mask and what to find.

    Args:
        label (UserItems): The held-out interactions.
        exclude (UserItems): The interactions to mask, those of training.
        batch_size (int): How many users are ranked at once.
            (default: :obj:`128`)

    Raises:
        ValueError: If there are no labels, sizes differ, or all labels are masked.
            Where some are, a warning counts them.
    """

    def __init__(
        self, label: UserItems, exclude: UserItems, batch_size: int = 128
    ) -> None:
        check_instance('label', label, UserItems)
        check_instance('exclude', exclude, UserItems)
        check_count('batch_size', batch_size)
        self.label = label
        self.exclude = exclude
        self.batch_size = batch_size
        self.user = label.degree.nonzero().flatten()
        if self.user.numel() == 0:
            raise ValueError("'label' must hold at least one interaction, got none")
        _check_disjoint(label, exclude)

    def __len__(self) -> int:
        return -(-self.user.numel() // self.batch_size)

    def __iter__(self) -> Iterator[RankingBatch]:
        for user in self.user.split(min(self.batch_size, self.user.numel())):
            yield RankingBatch(user, self.exclude.lookup(user), self.label.lookup(user))


class RankingMetrics(LinkPredMetricCollection):
    r"""Ranking metrics of :obj:`torch_geometric.metrics` at several cut-offs, over
    batches of users, averaged over users with labels:

    - :obj:`"recall"` is hits / labels
    - :obj:`"ndcg"` has its ideal cut at min(k, labels)
    - :obj:`"precision"` is hits / k
    - :obj:`"mrr"` is 1 / the rank of the first hit, 0 without one. (The authors' code
      adds this up over all hits.)

    Args:
        ks (sequence of int): The cut-offs. (default: :obj:`(5, 10, 20)`)
        metrics (sequence of str): Their names. (default: :obj:`("recall", "ndcg")`)

    Raises:
        ValueError: If there is no cut-off or no metric, or one that there is not.
    """

    def __init__(
        self,
        ks: Sequence[int] = (5, 10, 20),
        metrics: Sequence[str] = ('recall', 'ndcg'),
    ) -> None:
        ks = as_cutoffs(ks)
        if not isinstance(metrics, Sequence) or isinstance(metrics, str) or not metrics:
            raise ValueError(
                f"'metrics' must be a sequence of {', '.join(map(repr, METRICS))}, got "
                f'{metrics!r}'
            )
        for name in metrics:
            check_choice('metrics', name, tuple(METRICS))
        super().__init__(
            {f'{name}@{k}': METRICS[name](k) for name in metrics for k in ks}
        )

    def rank(self, user: Tensor, item: Tensor, batch: RankingBatch) -> None:
        r"""Ranks all items (embeddings :math:`(I, d)`) for the users of a batch
        (embeddings :math:`(U, d)` of *all* users) and counts the hits.

        Raises:
            ValueError: If a score is NaN or too large for its type.
        """
        chosen = at_least_float32(user[batch.user])
        top = top_k_items(chosen, at_least_float32(item), self.max_k, batch.exclude)
        _check_scores(top.values, batch.user)
        self.update(top.indices, torch.stack(batch.label))


@torch.no_grad()
def evaluate(
    user: Tensor,
    item: Tensor,
    label: UserItems,
    exclude: UserItems,
    ks: Sequence[int] = (5, 10, 20),
    batch_size: int = 128,
    metrics: Sequence[str] = ('recall', 'ndcg'),
) -> dict[str, float]:
    r"""Ranks all items for every user with labels.

    Args:
        user (torch.Tensor): User embeddings, of shape :math:`(U, d)`.
        item (torch.Tensor): Item embeddings, of shape :math:`(I, d)`.
        label (UserItems): The held-out interactions.
        exclude (UserItems): The interactions to mask, those of training.
        ks (sequence of int): The cut-offs. (default: :obj:`(5, 10, 20)`)
        batch_size (int): How many users are ranked at once: memory is
            :math:`\text{batch\_size} \times I`. (default: :obj:`128`)
        metrics (sequence of str): What is measured, of :obj:`"recall"`, :obj:`"ndcg"`,
            :obj:`"precision"` and :obj:`"mrr"`, see :class:`RankingMetrics`.
            (default: :obj:`("recall", "ndcg")`)

    Returns:
        :obj:`"recall@k"` and so on, for every metric and cut-off.

    Raises:
        ValueError: If embeddings are not finite or not one per node, a score is too
            large for its type, there are no labels, or all of them are masked. Where
            some are, a warning counts them.
    """
    check_instance('label', label, UserItems)
    check_instance('exclude', exclude, UserItems)
    check_vectors('user', user, label.num_users, each='per user')
    check_vectors('item', item, label.num_items, each='per item')
    counted = RankingMetrics(ks, metrics).to(user.device)
    loader = RankingLoader(label.to(user.device), exclude.to(user.device), batch_size)
    for batch in loader:
        counted.rank(user, item, batch)
    return {name: float(value) for name, value in counted.compute().items()}


def _check_scores(values: Tensor, user: Tensor) -> None:
    r"""Refuses what cannot be ranked. NaN and infinity come first among the top."""
    best = values[:, 0]
    wrong = best.isnan() | best.isposinf()
    if bool(wrong.any()):
        place = int(wrong.nonzero()[0])
        raise ValueError(
            f'scores must be finite, got {best[place].item()} for user '
            f'{int(user[place])}: the embeddings hold NaN or are too large (if they '
            'are being trained, training has diverged: lower the learning rate)'
        )


def _check_disjoint(label: UserItems, exclude: UserItems) -> None:
    r"""Warns of labels that are masked and so can never be found."""
    hidden = int(label.intersect(exclude).sum())
    if hidden == 0:
        return
    message = (
        f'{hidden} of {label.item.numel()} held-out interactions are also trained on: '
        'they are masked in the ranking and count as misses'
    )
    if hidden == label.item.numel():
        raise ValueError(f"{message}: hold out others than those in 'exclude'")
    warn_caller(f'{message}. Take them out of one of the two')
