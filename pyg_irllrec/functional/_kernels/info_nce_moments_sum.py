from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_eager import (
    floor_probability,
    floored_share,
)
from pyg_irllrec.functional._second_order import refuse_second_order
from pyg_irllrec.functional._unit import through_unit, unit

ROWS = 2**14  # At once: what is made on the way stays in the caches.


@torch.library.custom_op('pyg_irllrec::info_nce_moments_sum', mutates_args=())
def moments_sum(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    scale: Tensor,
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    r"""The sum of scaled losses with denominators from two moments of the keys, the
    loss of each row, and the gradients of the sum by query, key and keys: three passes
    over the rows, which hold nothing but the gradients."""
    candidates = key if keys is None else keys
    count, mean, covariance = _moments(candidates, key_weight)
    slope, half = mean / temperature, covariance / (2 * temperature**2)

    rows = torch.empty_like(scale)
    grad_query, grad_key = torch.empty_like(query), torch.empty_like(key)
    by_mean, by_covariance = torch.zeros_like(mean), torch.zeros_like(covariance)
    for start in range(0, query.size(0), ROWS):
        part = slice(start, start + ROWS)
        q, q_norm = unit(query[part])
        k, k_norm = unit(key[part])
        curve = torch.addmm(slope, q, half)
        lse = (q * curve).sum(dim=1) + count.log()
        positive = (q * k).sum(dim=1) / temperature
        rows[part] = floor_probability(lse - positive, eps)
        weight = scale[part]
        if eps > 0:
            weight = weight * floored_share(lse - positive, eps)
        weight = weight.unsqueeze(1)
        weighted = q * weight
        by_mean += weighted.sum(dim=0)
        by_covariance.addmm_(q.t(), weighted)
        grad = curve.mul_(2).sub_(slope).sub_(k, alpha=1 / temperature).mul_(weight)
        through_unit(grad, q, q_norm)
        grad_query[part] = grad
        grad_key[part] = weighted.div_(-temperature)
        if keys is not None:
            through_unit(grad_key[part], k, k_norm)

    total = torch.dot(rows, scale)
    by_covariance /= temperature**2  # Twice its half.
    by_mean = by_mean / temperature - by_covariance @ mean
    grad_keys = grad_key if keys is None else torch.zeros_like(keys)
    for start in range(0, candidates.size(0), ROWS):
        part = slice(start, start + ROWS)
        c, c_norm = unit(candidates[part])
        grad = torch.addmm(by_mean, c, by_covariance).div_(count)
        if key_weight is not None:
            grad.mul_(key_weight[part].unsqueeze(1))
        grad.add_(grad_keys[part])
        through_unit(grad, c, c_norm)
        grad_keys[part] = grad
    if keys is None:
        return total, rows, grad_query, grad_keys, query.new_empty(0)
    return total, rows, grad_query, grad_key, grad_keys


def _moments(
    keys: Tensor, key_weight: Optional[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The weight, the mean and the covariance of unit keys."""
    count = keys.new_zeros(())
    mean = keys.new_zeros(keys.size(1))
    second = keys.new_zeros(keys.size(1), keys.size(1))
    for start in range(0, keys.size(0), ROWS):
        part = slice(start, start + ROWS)
        c, _ = unit(keys[part])
        weighted = c
        if key_weight is not None:
            weight = key_weight[part].to(c.dtype)
            weighted = c * weight.unsqueeze(1)
            count += weight.sum()
        mean += weighted.sum(dim=0)
        second.addmm_(c.t(), weighted)
    if key_weight is None:
        count += keys.size(0)
    mean /= count
    return count, mean, (second / count).addr_(mean, mean, alpha=-1)


@moments_sum.register_fake
def _(query, key, keys, scale, key_weight, temperature, eps):  # type: ignore[no-untyped-def]
    grads = [
        query.new_empty(0) if x is None else torch.empty_like(x)
        for x in (query, key, keys)
    ]
    return query.new_empty(()), torch.empty_like(scale), *grads


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.has_keys = inputs[2] is not None
    ctx.save_for_backward(*output[1:])


def _backward(ctx: Any, upstream: Optional[Tensor], *_: Any) -> tuple[Any, ...]:
    if torch.is_grad_enabled():
        refuse_second_order("impl='moments' with a reduction")
    if upstream is None:
        return (None,) * 7
    rows, grad_query, grad_key, grad_keys = (
        value * upstream for value in ctx.saved_tensors
    )
    grad_keys = grad_keys if ctx.has_keys else None
    return grad_query, grad_key, grad_keys, rows, *(None,) * 3


moments_sum.register_autograd(_backward, setup_context=_setup)
