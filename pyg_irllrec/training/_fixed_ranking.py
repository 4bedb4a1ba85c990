r"""Pad the batches of a ranking loss to a fixed size, as a CUDA graph needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

from torch import Tensor
from torch.nn import Module

from pyg_irllrec.nn import (
    Backbone,
    DirectAULoss,
    IRLLRec,
    Recommender,
    RLMRecGen,
    SoftmaxLoss,
)

_LOSSES = SoftmaxLoss, DirectAULoss
_TERMS = tuple(each._terms for each in (Recommender, IRLLRec, RLMRecGen))


@contextmanager
def fixed_ranking(
    model: Recommender, weight: Optional[Tensor], max_users: Optional[int]
) -> Iterator[None]:
    r"""Return a context in which the ranking loss weighs each triplet and, if possible,
    reads a fixed number of users."""
    ranking = model.ranking
    if max_users is None or ranking is None or not _can_be_fixed(ranking):
        yield
        return
    model.ranking = _FixedRanking(ranking, weight, max_users)
    try:
        yield
    finally:
        model.ranking = ranking


class _FixedRanking(Module):
    def __init__(
        self, ranking: Module, weight: Optional[Tensor], max_users: int
    ) -> None:
        super().__init__()
        self.ranking = ranking
        self.weight = weight
        self.max_users = max_users

    def forward(self, user: Tensor, item: Tensor, triplets: Tensor) -> Tensor:
        options = {'weight': self.weight, 'max_users': self.max_users}
        loss: Tensor = self.ranking(user, item, triplets, **options)
        return loss


def _can_be_fixed(ranking: Module) -> bool:
    r"""Whether the ranking loss is one of ours, whose :obj:`forward` accepts
    weights."""
    return type(ranking).forward in [each.forward for each in _LOSSES]


def find_unweighted(model: Recommender) -> Optional[str]:
    r"""Return the part of a model that gives all triplets of a batch the same weight,
    if there is one. A batch of such a model cannot be padded."""
    backbone, ranking = type(model.backbone).__name__, model.ranking
    if ranking is None:
        return f'the ranking loss of {backbone}'
    if not _can_be_fixed(ranking):
        return type(ranking).__name__
    if type(model.backbone).auxiliary_loss is not Backbone.auxiliary_loss:
        return f'the own loss of {backbone}'
    if type(model)._terms not in _TERMS:
        return f'the loss of {type(model).__name__}'
    if isinstance(model, IRLLRec):
        projectors = model.profile_projector, model.intent_projector
        if any(each is not None for each in projectors):
            return 'the alignment with texts'
    return None
