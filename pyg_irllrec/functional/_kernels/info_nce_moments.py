from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_eager import floor_probability
from pyg_irllrec.functional._kernels.info_nce_moments_sum import moments_sum
from pyg_irllrec.functional._reduction import over_largest, reduce_rows, row_scale
from pyg_irllrec.functional.unit_norm import unit_norm
from pyg_irllrec.utils.checks import check_not_below

# At lower temperatures, single keys dominate the denominator, and moments miss them.
LEAST_TEMPERATURE = {'moments': 0.2, 'clusters': 0.1}
NUM_CLUSTERS = 64


def info_nce_moments(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    weight: Optional[Tensor],
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
    reduction: str,
    impl: str = 'moments',
) -> Tensor:
    r"""Approximate the denominator by the moments of the keys, in time that is linear
    in the number of rows, see :func:`log_sum_exp`."""
    check_not_below(
        f"'temperature' with impl={impl!r}", temperature, LEAST_TEMPERATURE[impl]
    )
    if impl == 'moments' and reduction != 'none':
        scale = row_scale(query, weight, reduction)
        query, key = query.contiguous(), key.contiguous()
        keys = None if keys is None else keys.contiguous()
        total: Tensor
        options = (scale, key_weight, temperature, eps)
        total, *_ = moments_sum(query, key, keys, *options)
        return total

    query, key = unit_norm(query), unit_norm(key)
    keys = key if keys is None else unit_norm(keys)
    positive = (query * key).sum(dim=-1) / temperature
    lse = log_sum_exp(query, keys, key_weight, temperature, impl)
    return reduce_rows(floor_probability(lse - positive, eps), reduction, weight)


def info_nce_clusters(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    weight: Optional[Tensor],
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
    reduction: str,
) -> Tensor:
    r"""The same, with one expansion per cluster of keys."""
    options = (weight, key_weight, temperature, eps, reduction)
    return info_nce_moments(query, key, keys, *options, impl='clusters')


def log_sum_exp(
    query: Tensor,
    keys: Tensor,
    key_weight: Optional[Tensor],
    temperature: float,
    impl: str,
) -> Tensor:
    r"""The log-sum-exp of each unit query's logits as if the keys were a mixture of
    normal distributions with means :math:`\boldsymbol{\mu}_k`, weights :math:`n_k` and
    one covariance (the cumulant expansion to second order):

    .. math::
        \log \sum_c v_c \exp(\mathbf{q}^{\top} \mathbf{c}_c / \tau) \approx \log
        \sum_k n_k \exp(\mathbf{q}^{\top} \boldsymbol{\mu}_k / \tau) +
        \mathbf{q}^{\top} \boldsymbol{\Sigma} \mathbf{q} / 2 \tau^2

    :obj:`"moments"` has a single distribution, :math:`K = 1`. Memory is
    :math:`B \times K` values.
    """
    if key_weight is not None:
        high = key_weight.amax().to(keys.dtype).log()
        by_share = over_largest(key_weight, keys.dtype)
        return high + _log_sum_exp(query, keys, by_share, temperature, impl)
    return _log_sum_exp(query, keys, None, temperature, impl)


def _log_sum_exp(
    query: Tensor,
    keys: Tensor,
    weight: Optional[Tensor],
    temperature: float,
    impl: str,
) -> Tensor:
    count, mean = _means(keys, weight, impl)
    total = count.sum()
    weighted = keys if weight is None else keys * weight.unsqueeze(1)
    second = keys.t() @ weighted / total
    covariance = second - mean.t() @ (mean * (count / total).unsqueeze(1))
    within = ((query @ (covariance / (2 * temperature**2))) * query).sum(dim=-1)
    between = torch.logsumexp(query @ (mean.t() / temperature) + count.log(), dim=-1)
    return between + within


def normal_log_sum_exp(
    query: Tensor, count: Tensor, first: Tensor, second: Tensor, temperature: float
) -> Tensor:
    r"""The same for one normal distribution, from the sums of the weights of keys, of
    the keys and of their outer products, of shapes :math:`(1)`, :math:`(d)` and
    :math:`(d, d)`."""
    mean = first / count
    covariance = second / count - torch.outer(mean, mean)
    within = ((query @ (covariance / (2 * temperature**2))) * query).sum(dim=-1)
    return query @ (mean / temperature) + count.log() + within


def _means(keys: Tensor, weight: Optional[Tensor], impl: str) -> tuple[Tensor, Tensor]:
    r"""The weight and the mean of every cluster."""
    if impl == 'moments':
        if weight is None:
            count = keys.new_full((1,), keys.size(0))
            return count, keys.mean(dim=0, keepdim=True)
        return weight.sum().view(1), (weight @ keys).unsqueeze(0) / weight.sum()
    num_clusters = min(NUM_CLUSTERS, max(1, keys.size(0) // 4))
    nearest = _assign(keys.detach(), num_clusters)
    if weight is None:
        weight = keys.new_ones(keys.size(0))
    count = weight.new_zeros(num_clusters).index_add(0, nearest, weight)
    sums = keys.new_zeros(num_clusters, keys.size(1))
    sums = sums.index_add(0, nearest, keys * weight.unsqueeze(1))
    # An empty cluster has no effect: the logarithm of its count is minus infinity.
    return count, sums / count.where(count > 0, 1).unsqueeze(1)


def _assign(keys: Tensor, num_clusters: int, steps: int = 2) -> Tensor:
    r"""The cluster of every unit key, from a few steps of spherical k-means that start
    at random keys, drawn with torch's generator."""
    draw = torch.randint(keys.size(0), (num_clusters,), device=keys.device)
    centres = keys[draw]
    for _ in range(steps):
        nearest = (keys @ centres.t()).argmax(dim=1)
        centres = unit_norm(torch.zeros_like(centres).index_add(0, nearest, keys))
    return (keys @ centres.t()).argmax(dim=1)
