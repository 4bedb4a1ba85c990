r"""The best items for users, by an approximate index of items."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyg_irllrec.nn import Ranker, Recommendation
from pyg_irllrec.nn.models._blend import standardise
from pyg_irllrec.serving._per_bundle import PerBundle
from pyg_irllrec.serving.item_index import ItemIndex

if TYPE_CHECKING:
    from pyg_irllrec.serving.bundle import Bundle

_CANDIDATES = 20  # Per recommended item, for a blend to rank.

Pairs = tuple[Tensor, Tensor]


def _build(bundle: Bundle) -> ItemIndex:
    return ItemIndex(bundle.ranker.item_embedding)


index_of = PerBundle(_build)


def index_search(bundle: Bundle, k: int) -> Callable[[Tensor, Pairs], Recommendation]:
    r"""Return a function that searches the best items for users, without excluded
    pairs. For a blend, the index finds candidates, which the blend ranks."""
    index, ranker = index_of(bundle), bundle.ranker
    if not bundle.model.blends:
        return lambda users, pairs: index.search(ranker.user_embedding[users], k, pairs)
    rescore = _blend_scores(bundle)

    def search(users: Tensor, pairs: Pairs) -> Recommendation:
        found = index.search(ranker.user_embedding[users], _CANDIDATES * k, pairs)
        score = rescore(users, found)
        best = score.topk(min(k, score.size(1)), dim=1)
        return Recommendation(found.item.gather(1, best.indices), best.values)

    return search


def _blend_scores(bundle: Bundle) -> Callable[[Tensor, Recommendation], Tensor]:
    r"""Return a function that gives candidates the scores that a blend over all items
    gives them. The mean and standard deviation of a user's graph scores follow from the
    mean and covariance of the item embeddings."""
    model, ranker = bundle.model, bundle.ranker
    assert model.blend_weight is not None
    own, *others = model.blend_weight.tolist()
    companions = [
        (weight, each)
        for weight, each in zip(others, model.companions)
        if weight != 0 and isinstance(each, Ranker)
    ]
    items = ranker.item_embedding.double()
    mean = items.mean(dim=0)
    centred = items - mean
    covariance = centred.t() @ centred / items.size(0)

    @torch.no_grad()
    def rescore(users: Tensor, found: Recommendation) -> Tensor:
        user = ranker.user_embedding[users].double()
        deviation = ((user @ covariance) * user).sum(dim=1).clamp(min=1e-30).sqrt()
        centre = (user @ mean).unsqueeze(1)
        total = own * ((found.score - centre) / deviation.unsqueeze(1)).float()
        place = found.item.clamp(min=0)
        for weight, companion in companions:
            score = standardise(companion.score(users))
            total = total + weight * score.gather(1, place)
        left_out = found.item < 0
        return torch.where(left_out, -torch.inf, total)

    return rescore
