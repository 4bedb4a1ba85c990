from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional

import torch
from torch import Tensor

_STEPS = 20  # Of the way from a blend to a single ranker.
_MAX_MOVES = 10
_LEAST_GAIN = 1e-3  # Less is noise: validation is no larger than it is.


def standardise(score: Tensor) -> Tensor:
    r"""The scores of each user with mean 0 and deviation 1, all 0 where they are all
    the same."""
    score = score.float()
    centred = score - score.mean(dim=1, keepdim=True)
    deviation = centred.square().mean(dim=1, keepdim=True).sqrt()
    # Of equal scores rounding leaves something.
    least = 1e-6 * score.abs().amax(dim=1, keepdim=True)
    return centred * (deviation > least) / deviation.clamp(min=1e-30)


def blend(scores: Sequence[Optional[Tensor]], weights: Sequence[float]) -> Tensor:
    r"""The weighted sum of scores; those of weight 0 are not read."""
    first, *others = (
        score * w for score, w in zip(scores, weights) if score is not None and w
    )
    return sum(others, start=first)


def best_blend(
    measure: Callable[[list[list[float]]], Tensor], num_rankers: int
) -> list[float]:
    r"""The weights, of sum 1, of the blend that is measured best, found from the best
    single ranker by moves towards another. :obj:`measure` gives the metrics of each of
    several weights, of shape :math:`(N, 2)`."""
    singles = torch.eye(num_rankers, dtype=torch.float64)
    metrics = measure(singles.tolist())
    scale = metrics.amax(dim=0).clamp(min=1e-30)
    value = (metrics / scale).sum(dim=1)
    best, best_value = singles[int(value.argmax())], float(value.max())
    steps = torch.arange(1, _STEPS, dtype=torch.float64).view(-1, 1, 1) / _STEPS
    for _ in range(_MAX_MOVES):
        moves = (best + steps * (singles - best)).flatten(0, 1)
        moves = moves[(moves - best).abs().amax(dim=1) > 1e-9]
        value = (measure(moves.tolist()) / scale).sum(dim=1)
        if float(value.max()) <= best_value * (1 + _LEAST_GAIN):
            break
        best, best_value = moves[int(value.argmax())], float(value.max())
    return best.tolist()
