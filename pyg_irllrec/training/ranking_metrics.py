from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

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
from pyg_irllrec.nn.models.recommendation import check_best, mask
from pyg_irllrec.training.cutoffs import as_cutoffs
from pyg_irllrec.training.ranking_loader import RankingBatch
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_choice
from pyg_irllrec.utils.ranks import Ranks

METRICS: dict[str, type[LinkPredMetric]] = {
    'recall': LinkPredRecall,
    'ndcg': LinkPredNDCG,
    'precision': LinkPredPrecision,
    'mrr': LinkPredMRR,
}
"""The metrics of a user's ranking, by name."""

CATALOGUE_METRICS = ('coverage', 'popularity')
"""The metrics of all recommended items together."""


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
