r"""InfoNCE with its work split among ranks that all have all rows."""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_eager import floor_probability
from pyg_irllrec.functional._kernels.info_nce_moments import (
    LEAST_TEMPERATURE,
    normal_log_sum_exp,
)
from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.functional.info_nce import unchecked_info_nce
from pyg_irllrec.functional.unit_norm import unit_norm
from pyg_irllrec.utils.checks import check_not_below
from pyg_irllrec.utils.ranks import Ranks


def shared_info_nce(
    ranks: Optional[Ranks],
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor] = None,
    *,
    temperature: float,
    weight: Optional[Tensor] = None,
    key_weight: Optional[Tensor] = None,
    reduction: str = 'mean',
    eps: float = 0.0,
    impl: str = 'auto',
) -> Tensor:
    r"""One rank's part of :func:`~pyg_irllrec.functional.info_nce` with a reduction:
    its own rows against all keys, times the number of ranks, so that the mean over
    ranks is the loss. Without ranks, the whole loss."""
    if ranks is None:
        return unchecked_info_nce(
            query,
            key,
            keys,
            temperature=temperature,
            weight=weight,
            key_weight=key_weight,
            reduction=reduction,
            eps=eps,
            impl=impl,
        )
    num_rows = query.size(0)
    total = num_rows if weight is None else weight.sum()
    candidates = key if keys is None else keys
    rows = ranks.rows(num_rows)
    own_weight = None if weight is None else weight[rows]
    if rows.start == rows.stop:  # All ranks must build the same autograd graph.
        rows, own_weight = slice(1), query.new_zeros(1)
    given = query[rows], key[rows], candidates, own_weight, key_weight
    if impl == 'moments':
        loss = _by_moments(ranks, *given, temperature, eps)
    else:
        loss = unchecked_info_nce(
            *given[:3],
            temperature=temperature,
            weight=own_weight,
            key_weight=key_weight,
            reduction='sum',
            eps=eps,
            impl=impl,
        )
    loss = ranks.size * loss
    return loss / total if reduction == 'mean' else loss


def _by_moments(
    ranks: Ranks,
    query: Tensor,
    key: Tensor,
    keys: Tensor,
    weight: Optional[Tensor],
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
) -> Tensor:
    r"""The sum of the losses of a rank's rows from the moments of all keys. Each rank
    computes the moments of its own keys, and the ranks add them up:
    :math:`d^2 + d + 1` numbers each."""
    check_not_below(
        "'temperature' with impl='moments'", temperature, LEAST_TEMPERATURE['moments']
    )
    with torch.autocast(query.device.type, enabled=False):
        query, key = (unit_norm(at_least_float32(x)) for x in (query, key))
        own = ranks.rows(keys.size(0))
        x = unit_norm(at_least_float32(keys[own]))
        count = x.new_ones(x.size(0)) if key_weight is None else key_weight[own]
        weighted = x * count.detach().to(x.dtype).unsqueeze(1)
        parts = x.t() @ weighted, weighted.sum(dim=0), count.to(x.dtype).sum()
        moments = ranks.sum(torch.cat([each.flatten() for each in parts]))
        second, first, total = moments.split([x.size(1) ** 2, x.size(1), 1])
        second = second.view(x.size(1), -1)
        lse = normal_log_sum_exp(query, total, first, second, temperature)
        positive = (query * key).sum(dim=-1) / temperature
        loss = floor_probability(lse - positive, eps)
        return (loss if weight is None else loss * weight.to(loss.dtype)).sum()
