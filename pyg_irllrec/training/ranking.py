from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import pairwise
from typing import Any, NamedTuple, Optional

import numpy as np
import torch
from torch import Tensor
from torch_geometric.metrics import (
    LinkPredAveragePopularity,
    LinkPredCoverage,
    LinkPredMetric,
    LinkPredMetricCollection,
    LinkPredMRR,
    LinkPredNDCG,
    LinkPredPrecision,
    LinkPredRecall,
)
from torch_geometric.metrics.link_pred import LinkPredMetricData

from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.functional.top_k_items import top_k_items
from pyg_irllrec.nn import Ranker
from pyg_irllrec.nn.models.recommendation import check_best, check_scores, mask
from pyg_irllrec.training.cutoffs import as_cutoffs
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_choice, check_count, check_vectors
from pyg_irllrec.utils.evaluating import evaluating
from pyg_irllrec.utils.ranks import Ranks
from pyg_irllrec.utils.user_items import lookup_items
from pyg_irllrec.utils.warn_caller import warn_caller

METRICS: dict[str, type[LinkPredMetric]] = {
    'recall': LinkPredRecall,
    'ndcg': LinkPredNDCG,
    'precision': LinkPredPrecision,
    'mrr': LinkPredMRR,
}
"""The metrics of a user's ranking by name."""

CATALOGUE_METRICS = ('coverage', 'popularity')
"""The metrics of which items are recommended at all."""

USERS_AT_ONCE = 128
"""On a CPU: their scores stay in its caches."""

SCORES_AT_ONCE = 2**27
"""Elsewhere: half a gigabyte, of which ranking takes about three."""


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
        batch_size (int, optional): How many users are ranked at once.
            (default: :obj:`None`, 128 on a CPU and elsewhere as many as have
            :math:`2^{27}` scores)

    Raises:
        ValueError: If there are no labels, sizes differ, or all labels are masked.
            Where some are, a warning counts them.
    """

    def __init__(
        self, label: UserItems, exclude: UserItems, batch_size: Optional[int] = None
    ) -> None:
        check_instance('label', label, UserItems)
        check_instance('exclude', exclude, UserItems)
        if batch_size is not None:
            check_count('batch_size', batch_size)
        if (exclude.num_users, exclude.num_items) != (label.num_users, label.num_items):
            raise ValueError(
                "'exclude' must have the users and items of 'label', "
                f'{label.num_users} and {label.num_items}, got {exclude.num_users} and '
                f'{exclude.num_items}'
            )
        self.label = label
        self.exclude = exclude
        self.batch_size = batch_size
        self.user = label.degree.nonzero().flatten()
        if self.user.numel() == 0:
            raise ValueError("'label' must hold at least one interaction, got none")
        _check_disjoint(label, exclude)
        # Read once: a pass asks the device for no sizes.
        self._exclude_ends, self._label_ends = (
            _ends(each.degree[self.user]) for each in (exclude, label)
        )

    def _with(self, label: UserItems, exclude: UserItems) -> RankingLoader:
        r"""The same with copies of these interactions on another device, unchecked."""
        out = copy(self)
        out.label, out.exclude = label, exclude
        out.user = self.user.to(label.item.device)
        return out

    def _share(self, rank: int, num_ranks: int) -> RankingLoader:
        r"""The same with every :math:`R`-th user. Where there are fewer users than
        ranks, every rank has all of them: means over users stay what they are."""
        if num_ranks == 1 or self.user.numel() < num_ranks:
            return self
        out = copy(self)
        out.user = self.user[rank::num_ranks]
        out._exclude_ends, out._label_ends = (
            _ends(each.degree[out.user]) for each in (self.exclude, self.label)
        )
        return out

    def __len__(self) -> int:
        return -(-self.user.numel() // self._users_at_once())

    def __iter__(self) -> Iterator[RankingBatch]:
        num_users, size = self.user.numel(), self._users_at_once()
        for first, end in pairwise((*range(0, num_users, size), num_users)):
            user = self.user[first:end]
            yield RankingBatch(
                user,
                _lookup(self.exclude, user, self._exclude_ends, first, end),
                _lookup(self.label, user, self._label_ends, first, end),
            )

    def _users_at_once(self) -> int:
        if self.batch_size is not None:
            return self.batch_size
        if self.user.is_cpu:
            return USERS_AT_ONCE
        return max(1, SCORES_AT_ONCE // self.label.num_items)


class RankingMetrics(LinkPredMetricCollection):
    r"""Ranking metrics of :obj:`torch_geometric.metrics` at several cut-offs, over
    batches of users, averaged over users with labels:

    - :obj:`"recall"` is hits / labels
    - :obj:`"ndcg"` has its ideal cut at min(k, labels)
    - :obj:`"precision"` is hits / k
    - :obj:`"mrr"` is 1 / the rank of the first hit, 0 without one. (The authors' code
      adds this up over all hits.)
    - :obj:`"coverage"` is the share of items that are recommended to anybody
    - :obj:`"popularity"` is the mean, over what is recommended, of the logarithm of 1 +
      the training interactions of an item

    Args:
        ks (sequence of int): The cut-offs. (default: :obj:`(5, 10, 20)`)
        metrics (sequence of str): Their names. (default: :obj:`("recall", "ndcg")`)
        train (UserItems, optional): The training interactions, which coverage and
            popularity count items of. (default: :obj:`None`)

    Raises:
        ValueError: If there is no cut-off or no metric, or one that there is not, or
            :obj:`train` is missing.
    """

    def __init__(
        self,
        ks: Sequence[int] = (5, 10, 20),
        metrics: Sequence[str] = ('recall', 'ndcg'),
        train: Optional[UserItems] = None,
    ) -> None:
        ks = as_cutoffs(ks)
        known = (*METRICS, *CATALOGUE_METRICS)
        if not isinstance(metrics, Sequence) or isinstance(metrics, str) or not metrics:
            raise ValueError(
                f"'metrics' must be a sequence of {', '.join(map(repr, known))}, got "
                f'{metrics!r}'
            )
        for name in metrics:
            check_choice('metrics', name, known)
        if train is not None:
            check_instance('train', train, UserItems)
        super().__init__(
            {f'{name}@{k}': _metric(name, k, train) for name in metrics for k in ks}
        )
        self._unchecked: list[tuple[Tensor, Tensor]] = []
        for metric in self.values():
            # Processes are waited for in reduce() alone.
            metric._to_sync = metric.sync_on_compute = False

    def rank(self, user: Tensor, item: Tensor, batch: RankingBatch) -> None:
        r"""Ranks all items (embeddings :math:`(I, d)`) for the users of a batch
        (embeddings :math:`(U, d)` of *all* users) and counts the hits.

        Raises:
            ValueError: If a score is NaN or too large for its type; where it does not
                lie on a CPU, :meth:`compute` raises it.
        """
        chosen = at_least_float32(user[batch.user])
        top = top_k_items(chosen, at_least_float32(item), self.max_k, batch.exclude)
        self._count(top.values, top.indices, batch, item.size(0))

    def rank_scores(self, score: Tensor, batch: RankingBatch) -> None:
        r"""Ranks all items by their scores, of shape :math:`(B, I)` for the :math:`B`
        users of a batch, and counts the hits.

        Raises:
            ValueError: If a score is NaN or infinite; where it does not lie on a CPU,
                :meth:`compute` raises it.
        """
        score = at_least_float32(score)
        top = mask(score, batch.exclude).topk(self.max_k, dim=-1)
        self._count(top.values, top.indices, batch, score.size(1))

    def compute(self) -> dict[str, Tensor]:
        r"""The metrics by name.

        Raises:
            ValueError: If a score of any batch was NaN or infinite.
        """
        if self._unchecked:
            scores, users = (torch.cat(each) for each in zip(*self._unchecked))
            check_best(scores, users)
        out: dict[str, Tensor] = super().compute()
        return out

    def reduce(self, ranks: Ranks) -> None:
        r"""Counts the users of all processes, each of which has ranked for a share.

        Args:
            ranks (Ranks): The processes.
        """
        for metric in self.values():
            if isinstance(metric, LinkPredCoverage):
                seen = metric.mask.int()
                ranks.add(seen)
                metric.mask.copy_(seen > 0)
            else:
                ranks.add(metric.accum)
                ranks.add(metric.total)
            metric._computed = None  # It keeps what it has computed.

    def reset(self) -> None:
        r"""Start anew."""
        self._unchecked = []
        super().reset()

    def _count(
        self, scores: Tensor, items: Tensor, batch: RankingBatch, num_items: int
    ) -> None:
        if scores.is_cpu:
            check_best(scores, batch.user)
        else:  # To look at them now would wait for every batch.
            self._unchecked.append((scores[:, :1], batch.user))
        label = torch.stack(batch.label)
        data = LinkPredMetricData(items, label)
        # PyG finds hits by the largest id, which it waits for.
        data._pred_rel_mat = _are_labels(items, batch.label, num_items)
        metric: Any
        for metric in self.values():
            if isinstance(metric, LinkPredMetric):
                metric._update(data)
                metric._update_count = getattr(metric, '_update_count', 0) + 1
                metric._computed = None  # It keeps what it has computed.
            else:
                metric.update(items, label)


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
    r"""Ranks all items for every user with labels.

    Args:
        user (torch.Tensor): User embeddings, of shape :math:`(U, d)`.
        item (torch.Tensor): Item embeddings, of shape :math:`(I, d)`.
        label (UserItems): The held-out interactions.
        exclude (UserItems): The interactions to mask, those of training.
        ks (sequence of int): The cut-offs. (default: :obj:`(5, 10, 20)`)
        batch_size (int, optional): How many users are ranked at once: memory is
            :math:`\text{batch\_size} \times I`. (default: :obj:`None`, as of
            :class:`RankingLoader`)
        metrics (sequence of str): What is measured, of :obj:`"recall"`, :obj:`"ndcg"`,
            :obj:`"precision"`, :obj:`"mrr"`, :obj:`"coverage"` and :obj:`"popularity"`,
            see :class:`RankingMetrics`. (default: :obj:`("recall", "ndcg")`)

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
    r"""Ranks all items for every user with labels by the scores of any ranker, in
    evaluation mode, on its device.

    Args:
        ranker (Ranker): A :class:`~pyg_irllrec.nn.Recommender`, a baseline such as
            :class:`~pyg_irllrec.nn.EASE`, or another.
        label (UserItems): The held-out interactions.
        exclude (UserItems): The interactions to mask, those of training.
        ks (sequence of int): The cut-offs. (default: :obj:`(5, 10, 20)`)
        batch_size (int, optional): How many users are ranked at once: memory is
            :math:`\text{batch\_size} \times I`. (default: :obj:`None`, as of
            :class:`RankingLoader`)
        metrics (sequence of str): What is measured, see :func:`evaluate`.
            (default: :obj:`("recall", "ndcg")`)

    Returns:
        :obj:`"recall@k"` and so on, for every metric and cut-off.

    Raises:
        ValueError: If sizes differ, a score is not finite, there are no labels, or all
            of them are masked. Where some are, a warning counts them.
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
            f"'ks' must not be above the number of items, {ranker.num_items}, got "
            f'{counted.max_k}: take fitting_cutoffs(num_items)'
        )
    loader = RankingLoader(label.to(device), exclude.to(device), batch_size)
    with evaluating(ranker):
        scorer = ranker.scorer()
        for batch in loader:
            score = check_scores(scorer(batch.user), batch.user.numel(), sizes[1])
            counted.rank_scores(score, batch)
    return {name: float(value) for name, value in counted.compute().items()}


def _metric(
    name: str, k: int, train: Optional[UserItems]
) -> LinkPredMetric | LinkPredCoverage | LinkPredAveragePopularity:
    if name in METRICS:
        return METRICS[name](k)
    if train is None:
        raise ValueError(
            f"'train' must hold the training interactions for the metric {name!r}, got "
            'None'
        )
    if name == 'coverage':
        return LinkPredCoverage(k, train.num_items)
    counts = torch.bincount(train.item, minlength=train.num_items)
    return LinkPredAveragePopularity(k, counts.float().log1p())


def _ends(count: Tensor) -> np.ndarray:
    r"""Where each user's pairs end, after a zero, on the host."""
    ends = np.zeros(count.numel() + 1, dtype=np.int64)
    count.cpu().numpy().cumsum(out=ends[1:])
    return ends


def _lookup(
    held: UserItems, user: Tensor, ends: np.ndarray, first: int, end: int
) -> tuple[Tensor, Tensor]:
    size = int(ends[end] - ends[first])
    return lookup_items(held.rowptr, held.item, user, size)


def _are_labels(items: Tensor, label: tuple[Tensor, Tensor], num_items: int) -> Tensor:
    r"""Which of the items of each row are among its labels."""
    row, item = label
    if row.numel() == 0:
        return torch.zeros_like(items, dtype=torch.bool)
    known = (row * num_items + item).sort().values
    rows = torch.arange(items.size(0), device=items.device).unsqueeze(1)
    found = rows * num_items + items
    at = torch.searchsorted(known, found).clamp_(max=known.numel() - 1)
    return known[at] == found


def _check_disjoint(label: UserItems, exclude: UserItems) -> None:
    r"""Warn of labels that are masked and so can never be found."""
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
