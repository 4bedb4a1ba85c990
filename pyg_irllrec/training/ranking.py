from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.metrics import (
    LinkPredMetricCollection,
    LinkPredNDCG,
    LinkPredRecall,
)

from pyg_irllrec.functional.top_k_items import top_k_items
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.checks import check_count, check_vectors
from pyg_irllrec.utils.warn_caller import warn_caller


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
        for user in self.user.split(self.batch_size):
            yield RankingBatch(user, self.exclude.lookup(user), self.label.lookup(user))


class RankingMetrics(LinkPredMetricCollection):
    r"""Recall and NDCG at several cut-offs, over batches of users: Recall@k is
    hits / labels, NDCG@k has its ideal cut at min(k, labels), both averaged over
    users with labels.

    Args:
        ks (sequence of int): The cut-offs. (default: :obj:`(5, 10, 20)`)
    """

    def __init__(self, ks: Sequence[int] = (5, 10, 20)) -> None:
        if not isinstance(ks, Sequence) or isinstance(ks, str) or len(ks) == 0:
            raise ValueError(
                "'ks' must hold at least one cut-off, such as (20,), got "
                f'{"none" if isinstance(ks, Sequence) else repr(ks)}'
            )
        for k in ks:
            check_count('ks', k)
        ks = [int(k) for k in ks]  # Plain ones: top_k_items takes no others.
        metrics = {f'recall@{k}': LinkPredRecall(k) for k in ks}
        super().__init__({**metrics, **{f'ndcg@{k}': LinkPredNDCG(k) for k in ks}})

    def rank(self, user: Tensor, item: Tensor, batch: RankingBatch) -> None:
        r"""Ranks all items (embeddings :math:`(I, d)`) for the users of a batch
        (embeddings :math:`(U, d)` of *all* users) and counts the hits."""
        top = top_k_items(user[batch.user], item, self.max_k, batch.exclude).indices
        self.update(top, torch.stack(batch.label))


@torch.no_grad()
def evaluate(
    user: Tensor,
    item: Tensor,
    label: UserItems,
    exclude: UserItems,
    ks: Sequence[int] = (5, 10, 20),
    batch_size: int = 128,
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

    Returns:
        :obj:`"recall@k"` and :obj:`"ndcg@k"` for every cut-off.

    Raises:
        ValueError: If embeddings are not finite or not one per node, there are no
            labels, or all of them are masked. Where some are, a warning counts them.
    """
    check_vectors('user', user, label.num_users, each='per user')
    check_vectors('item', item, label.num_items, each='per item')
    metrics = RankingMetrics(ks).to(user.device)
    loader = RankingLoader(label.to(user.device), exclude.to(user.device), batch_size)
    for batch in loader:
        metrics.rank(user, item, batch)
    return {name: float(value) for name, value in metrics.compute().items()}


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
