from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_moments import log_sum_exp, moments
from pyg_irllrec.functional._reduce import at_least_float32
from pyg_irllrec.functional.unit_norm import unit_norm
from pyg_irllrec.utils.checks import check_length, check_matrix, check_positive


class MomentsError(NamedTuple):
    r"""How far :obj:`info_nce(impl="moments")` is off."""

    loss: Tensor
    """The root mean square error of a row's log-sum-exp."""
    query_gradient: Tensor
    """The relative error (in norm) of its gradient by queries."""
    key_gradient: Tensor
    """The relative error (in norm) of its gradient by keys."""


@torch.no_grad()
def moments_error(
    query: Tensor,
    keys: Tensor,
    *,
    temperature: float = 1.0,
    key_weight: Optional[Tensor] = None,
    num_samples: int = 256,
    generator: Optional[torch.Generator] = None,
) -> MomentsError:
    r"""Estimates the error of :func:`~pyg_irllrec.functional.info_nce` with
    :obj:`impl="moments"` on these very tensors: a sample of queries meets all keys,
    and a sample of keys all queries, in :math:`O(\text{num\_samples} \, (B + C) \,
    d)`. The errors are those of the denominator: the gradient of the whole loss, in
    which the positives are exact, is closer.

    Args:
        query (torch.Tensor): The queries, of shape :math:`(B, d)`.
        keys (torch.Tensor): The candidates, of shape :math:`(C, d)`.
        temperature (float): :math:`\tau`. (default: :obj:`1.0`)
        key_weight (torch.Tensor, optional): How much each candidate counts, of shape
            :math:`(C)`. (default: :obj:`None`, once)
        num_samples (int): The size of both samples. (default: :obj:`256`)
        generator (torch.Generator, optional): Where the samples come from.
            (default: :obj:`None`, torch's own)

    Raises:
        ValueError: If a shape, dtype or option is not as above.
    """
    check_matrix('query', query)
    check_matrix('keys', keys)
    if keys.size(1) != query.size(1):
        raise ValueError(
            f"'keys' must be as wide as 'query', {query.size(1)}, got {keys.size(1)}"
        )
    check_length('key_weight', key_weight, keys.size(0))
    check_positive('temperature', temperature)
    check_positive('num_samples', num_samples)
    x = unit_norm(at_least_float32(query)) / temperature
    y = unit_norm(at_least_float32(keys))
    v = y.new_ones(y.size(0)) if key_weight is None else key_weight.to(y.dtype)
    fit = moments(y, key_weight)

    some = _sample(x, num_samples, generator)
    logits = some @ y.t() + v.log()
    lse = logits.logsumexp(dim=1)
    loss = (lse - log_sum_exp(some, fit)).square().mean().sqrt()
    by_query = logits.softmax(dim=1) @ y
    query_gradient = _relative(fit.mean + some @ fit.covariance, by_query)

    # By the approximate denominators, whose own error is of higher order.
    some = _sample(y, num_samples, generator)
    share = torch.exp(some @ x.t() - log_sum_exp(x, fit))
    linear = (1 + (some - fit.mean) @ x.t()) / fit.log_count.exp()
    key_gradient = _relative(linear @ x, share @ x)
    return MomentsError(loss, query_gradient, key_gradient)


def _sample(
    x: Tensor, num_samples: int, generator: Optional[torch.Generator]
) -> Tensor:
    if num_samples >= x.size(0):
        return x
    device = x.device if generator is None else generator.device
    draw = torch.randint(x.size(0), (num_samples,), generator=generator, device=device)
    return x[draw.to(x.device)]


def _relative(value: Tensor, expected: Tensor) -> Tensor:
    out: Tensor = (value - expected).norm() / expected.norm()
    return out
