from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional

import torch
from torch import Tensor

_STEPS = 20  # Steps on the line from a blend to a single ranker.
_MAX_MOVES = 10
_LEAST_GAIN = 1e-3  # Smaller gains are noise on a validation set of usual size.


def standardise(score: Tensor) -> Tensor:
    r"""Scale the scores of each user to mean 0 and standard deviation 1; if all are
    equal, to 0."""
    score = score.float()
    centred = score - score.mean(dim=1, keepdim=True)
    deviation = centred.square().mean(dim=1, keepdim=True).sqrt()
    # Rounding leaves a small deviation between equal scores.
    least = 1e-6 * score.abs().amax(dim=1, keepdim=True)
    return centred * (deviation > least) / deviation.clamp(min=1e-30)


def blend(scores: Sequence[Optional[Tensor]], weights: Sequence[float]) -> Tensor:
    r"""Return the weighted sum of scores. Scores with weight 0 are not read."""
    first, *others = (
        score * w for score, w in zip(scores, weights) if score is not None and w
    )
    return sum(others, start=first)


def best_blend(
    measure: Callable[[list[list[float]]], Tensor], num_rankers: int
) -> list[float]:
    r"""Return the weights of the best blend, whose sum is 1. The search starts at the
    best single ranker and moves towards other rankers. :obj:`measure` returns the
    metrics of :math:`N` blends, of shape :math:`(N, 2)`."""
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
