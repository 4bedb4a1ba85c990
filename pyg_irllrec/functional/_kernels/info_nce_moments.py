from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_eager import floor_probability
from pyg_irllrec.functional._reduce import reduce_rows
from pyg_irllrec.functional.unit_norm import unit_norm

LEAST_TEMPERATURE = 0.2


def info_nce_moments(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    weight: Optional[Tensor],
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
    reduction: str,
) -> Tensor:
    r"""Linear in the number of rows, and approximate: the denominator as if the keys
    were normally distributed, which two moments describe (the second-order cumulant
    expansion):

    .. math::
        \log \sum_c v_c \exp(\mathbf{q}^{\top} \mathbf{c}_c / \tau) \approx
        \log \sum_c v_c + \mathbf{q}^{\top} \boldsymbol{\mu} / \tau +
        \mathbf{q}^{\top} \boldsymbol{\Sigma} \mathbf{q} / 2 \tau^2
    """
    if temperature < LEAST_TEMPERATURE:
        raise ValueError(
            f"impl='moments' needs a 'temperature' of {LEAST_TEMPERATURE} or more, got "
            f'{temperature}: below it single keys decide the denominator, which two '
            "moments cannot tell; take impl='chunked'"
        )
    query, key = unit_norm(query), unit_norm(key)
    keys = key if keys is None else unit_norm(keys)
    positive = (query * key).sum(dim=-1) / temperature
    lse = log_sum_exp(query / temperature, moments(keys, key_weight))
    return reduce_rows(floor_probability(lse - positive, eps), reduction, weight)


class Moments(NamedTuple):
    r"""Of unit keys: the logarithm of their number, mean and covariance."""

    log_count: Tensor
    mean: Tensor
    covariance: Tensor


def moments(keys: Tensor, key_weight: Optional[Tensor]) -> Moments:
    r"""The weighted moments of keys of shape :math:`(C, d)`."""
    if key_weight is None:
        count = keys.new_full((), keys.size(0))
        mean, second = keys.mean(dim=0), keys.t() @ keys / count
    else:
        share = key_weight.to(keys.dtype)
        count = share.sum()
        share = share / count
        mean, second = share @ keys, (keys * share.unsqueeze(1)).t() @ keys
    return Moments(count.log(), mean, second - torch.outer(mean, mean))


def log_sum_exp(query: Tensor, moments: Moments) -> Tensor:
    r"""The log-sum-exp of every query's logits by the moments of the keys."""
    half = torch.addmm(moments.mean, query, moments.covariance, alpha=0.5)
    return moments.log_count + (query * half).sum(dim=-1)
