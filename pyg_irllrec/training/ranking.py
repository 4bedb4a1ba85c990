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
"""The metrics of a user's ranking, by name."""

CATALOGUE_METRICS = ('coverage', 'popularity')
"""The metrics of all recommended items together."""

USERS_AT_ONCE = 128
"""The number of users per batch on a CPU, whose scores stay in its caches."""

SCORES_AT_ONCE = 2**27
"""The number of scores per batch on other devices: half a gibibyte, of which ranking
needs about three times the memory."""


class RankingBatch(NamedTuple):
    r"""A batch of users to rank all items for.

    Example:
        >>> import torch
        >>> from pyg_irllrec.training import RankingLoader
        >>> from pyg_irllrec.utils import UserItems
        >>> train = UserItems(torch.tensor([[0, 1], [0, 1]]), 2, 4)
        >>> val = UserItems(torch.tensor([[0, 1], [2, 3]]), 2, 4)
        >>> batch = next(iter(RankingLoader(val, train)))
        >>> batch.user, batch.label
        (tensor([0, 1]), (tensor([0, 1]), tensor([2, 3])))
    """

    user: Tensor
    """The ids of the users, of shape :math:`(B)`."""
    exclude: tuple[Tensor, Tensor]
    """The items to mask, as positions in :obj:`user` and item ids."""
    label: tuple[Tensor, Tensor]
    """The held-out items, as positions in :obj:`user` and item ids."""


class RankingLoader:
    r"""Batches of the users with held-out interactions, for a ranking of all items.

    Args:
        label (UserItems): The held-out interactions.
        exclude (UserItems): The training interactions, which are masked.
        batch_size (int, optional): The number of users per batch.
            (default: :obj:`None`, 128 on a CPU, and :math:`2^{27} / I` for :math:`I`
            items on other devices)

    Raises:
        ValueError: If there are no labels, sizes differ, or all labels are masked.
            If only some are, a warning gives their number.

    Example:
        >>> import torch
        >>> from pyg_irllrec.training import RankingLoader
        >>> from pyg_irllrec.utils import UserItems
        >>> train = UserItems(torch.tensor([[0, 1], [0, 1]]), 2, 4)
        >>> val = UserItems(torch.tensor([[0, 1], [2, 3]]), 2, 4)
        >>> [batch.user for batch in RankingLoader(val, train, batch_size=1)]
        [tensor([0]), tensor([1])]
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
        # Keep these sizes on the host, so that a pass does not wait for the device.
        self._exclude_ends, self._label_ends = (
            _ends(each.degree[self.user]) for each in (exclude, label)
        )

    def _with(self, label: UserItems, exclude: UserItems) -> RankingLoader:
        r"""Return a copy over the same interactions on another device, unchecked."""
        out = copy(self)
        out.label, out.exclude = label, exclude
        out.user = self.user.to(label.item.device)
        return out

    def _share(self, rank: int, num_ranks: int) -> RankingLoader:
        r"""Return a copy with every :math:`R`-th user. If there are fewer users than
        ranks, every rank has all users, which does not change means over users."""
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
    r"""The ranking metrics of :obj:`torch_geometric.metrics` at several cut-offs
    :math:`k`, accumulated over batches of users. The first four are means over users
    with labels:

    - :obj:`"recall"` is hits / labels.
    - :obj:`"ndcg"` has an ideal ranking of min(k, labels) items.
    - :obj:`"precision"` is hits / k.
    - :obj:`"mrr"` is 1 / the rank of the first hit, or 0 without a hit. (The authors'
      code sums this over all hits.)
    - :obj:`"coverage"` is the share of items that are recommended to at least one user.
    - :obj:`"popularity"` is the mean, over recommended items, of the logarithm of 1 +
      the number of training interactions.

    Args:
        ks (sequence of int): The cut-offs. (default: :obj:`(5, 10, 20)`)
        metrics (sequence of str): The names of the metrics.
            (default: :obj:`("recall", "ndcg")`)
        train (UserItems, optional): The training interactions, needed for
            :obj:`"coverage"` and :obj:`"popularity"`. (default: :obj:`None`)

    Raises:
        ValueError: If there is no cut-off or no metric, a name is unknown, or
            :obj:`train` is missing.

    Example:
        >>> import torch
        >>> from pyg_irllrec.training import RankingLoader, RankingMetrics
        >>> from pyg_irllrec.utils import UserItems
        >>> train = UserItems(torch.tensor([[0, 1], [0, 1]]), 2, 4)
        >>> val = UserItems(torch.tensor([[0, 1], [2, 3]]), 2, 4)
        >>> metrics = RankingMetrics(ks=[1, 3], metrics=['recall'])
        >>> score = torch.tensor([[9.0, 1.0, 5.0, 3.0], [4.0, 9.0, 2.0, 1.0]])
        >>> for batch in RankingLoader(val, train):
        ...     metrics.rank_scores(score[batch.user], batch)
        >>> metrics.compute()
        {'recall@1': tensor(0.5000), 'recall@3': tensor(1.)}
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
            # Processes are synchronised in reduce() only.
            metric._to_sync = metric.sync_on_compute = False

    def rank(self, user: Tensor, item: Tensor, batch: RankingBatch) -> None:
        r"""Rank all items for the users of a batch by inner products of embeddings, and
        count the hits.

        Args:
            user (torch.Tensor): The embeddings of *all* users, of shape
                :math:`(U, d)`.
            item (torch.Tensor): The embeddings of all items, of shape :math:`(I, d)`.
            batch (RankingBatch): The batch.

        Raises:
            ValueError: If a score is NaN or too large for its type. On a device other
                than a CPU, :meth:`compute` raises it instead.
        """
        chosen = at_least_float32(user[batch.user])
        top = top_k_items(chosen, at_least_float32(item), self.max_k, batch.exclude)
        self._count(top.values, top.indices, batch, item.size(0))

    def rank_scores(self, score: Tensor, batch: RankingBatch) -> None:
        r"""Rank all items for the users of a batch by given scores, and count the hits.

        Args:
            score (torch.Tensor): The scores of the users of the batch, of shape
                :math:`(B, I)`.
            batch (RankingBatch): The batch.

        Raises:
            ValueError: If a score is NaN or infinite. On a device other than a CPU,
                :meth:`compute` raises it instead.
        """
        score = at_least_float32(score)
        top = mask(score, batch.exclude).topk(self.max_k, dim=-1)
        self._count(top.values, top.indices, batch, score.size(1))

    def compute(self) -> dict[str, Tensor]:
        r"""Return the metrics by name.

        Raises:
            ValueError: If a score of any batch was NaN or infinite.
        """
        if self._unchecked:
            scores, users = (torch.cat(each) for each in zip(*self._unchecked))
            check_best(scores, users)
        out: dict[str, Tensor] = super().compute()
        return out

    def reduce(self, ranks: Ranks) -> None:
        r"""Sum the counts of all processes, each of which has ranked for a share of the
        users.

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
            metric._computed = None  # The metric caches its value.

    def reset(self) -> None:
        r"""Reset all counts."""
        self._unchecked = []
        super().reset()

    def _count(
        self, scores: Tensor, items: Tensor, batch: RankingBatch, num_items: int
    ) -> None:
        if scores.is_cpu:
            check_best(scores, batch.user)
        else:  # A check here would wait for the device at every batch.
            self._unchecked.append((scores[:, :1], batch.user))
        label = torch.stack(batch.label)
        data = LinkPredMetricData(items, label)
        # PyG would read the largest id, which waits for the device.
        data._pred_rel_mat = _are_labels(items, batch.label, num_items)
        metric: Any
        for metric in self.values():
            if isinstance(metric, LinkPredMetric):
                metric._update(data)
                metric._update_count = getattr(metric, '_update_count', 0) + 1
                metric._computed = None  # The metric caches its value.
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
            (default: :obj:`None`, that of :class:`RankingLoader`)
        metrics (sequence of str): The names of the metrics, from :obj:`"recall"`,
            :obj:`"ndcg"`, :obj:`"precision"`, :obj:`"mrr"`, :obj:`"coverage"` and
            :obj:`"popularity"`, see :class:`RankingMetrics`.
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
            (default: :obj:`None`, that of :class:`RankingLoader`)
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
    r"""Return the end of each user's pairs, after a zero, on the host."""
    ends = np.zeros(count.numel() + 1, dtype=np.int64)
    count.cpu().numpy().cumsum(out=ends[1:])
    return ends


def _lookup(
    held: UserItems, user: Tensor, ends: np.ndarray, first: int, end: int
) -> tuple[Tensor, Tensor]:
    size = int(ends[end] - ends[first])
    return lookup_items(held.rowptr, held.item, user, size)


def _are_labels(items: Tensor, label: tuple[Tensor, Tensor], num_items: int) -> Tensor:
    r"""Return which items of each row are among its labels."""
    row, item = label
    if row.numel() == 0:
        return torch.zeros_like(items, dtype=torch.bool)
    known = (row * num_items + item).sort().values
    rows = torch.arange(items.size(0), device=items.device).unsqueeze(1)
    found = rows * num_items + items
    at = torch.searchsorted(known, found).clamp_(max=known.numel() - 1)
    return known[at] == found


def _check_disjoint(label: UserItems, exclude: UserItems) -> None:
    r"""Warn of labels that are masked and can therefore never be hits."""
    hidden = int(label.intersect(exclude).sum())
    if hidden == 0:
        return
    message = (
        f'{hidden} of {label.item.numel()} held-out interactions are also trained on: '
        'they are masked in the ranking and count as misses'
    )
    if hidden == label.item.numel():
        raise ValueError(f"{message}. Hold out interactions that are not in 'exclude'")
    warn_caller(f'{message}. Remove them from one of the two splits')
