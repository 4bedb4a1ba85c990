from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch_geometric.metrics import (
    LinkPredMetricCollection,
    LinkPredNDCG,
    LinkPredRecall,
)

from pyg_irllrec.nn.models.recommendation import check_best, check_scores, mask
from pyg_irllrec.utils.user_items import UserItems

Variants = Callable[[Tensor], Iterable[Tensor]]
"""Maps a batch of users to several variants of scores, each of shape :math:`(B, I)`."""

_BATCH_SIZE = 128


@torch.no_grad()
def measure(
    variants: Variants,
    num_variants: int,
    label: UserItems,
    exclude: UserItems,
    k: int,
    device: torch.device,
) -> Tensor:
    r"""Return Recall@k and NDCG@k of each variant, of shape :math:`(N, 2)`, in
    :obj:`float64` on the CPU. Only the scores of one batch are in memory at a time."""
    label, exclude = label.to(device), exclude.to(device)
    k = min(k, label.num_items)
    metrics = [
        LinkPredMetricCollection([LinkPredRecall(k), LinkPredNDCG(k)]).to(device)
        for _ in range(num_variants)
    ]
    for users in label.degree.nonzero().flatten().split(_BATCH_SIZE):
        wanted, masked = torch.stack(label.lookup(users)), exclude.lookup(users)
        for metric, score in zip(metrics, variants(users)):
            check_scores(score, users.numel(), label.num_items)
            top = mask(score, masked).topk(k, dim=-1)
            check_best(top.values, users)
            metric.update(top.indices, wanted)
    values = [[float(value) for value in each.compute().values()] for each in metrics]
    return torch.tensor(values, dtype=torch.float64)
