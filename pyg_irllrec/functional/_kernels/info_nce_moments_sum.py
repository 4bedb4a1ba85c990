from __future__ import annotations

import math
from typing import Any, Optional, Union

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_eager import (
    floor_probability,
    floored_share,
)
from pyg_irllrec.functional._reduction import over_largest, sum_tensors
from pyg_irllrec.functional._second_order import refuse_second_order

# Rows per part on a CPU: intermediate results stay in its caches.
ROWS = 2**14
# Values per part on other devices, a quarter of a gigabyte: launches cost more there.
VALUES = 2**26


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
    loss of each row, and the gradients of the sum with respect to query, key and keys,
    in three passes over the rows. Memory is the gradients and the unit keys."""
    candidates = key if keys is None else keys
    small = query.new_full((), 1e-4)  # Its square, 1e-8, is added to the squared norm.
    unit_keys = torch.empty_like(candidates)
    key_norm = candidates.new_empty(candidates.size(0), 1)
    share, log_count = _shares(candidates, key_weight)
    mean, second = _moments(candidates, share, small, unit_keys, key_norm)
    slope = mean / temperature
    half = 1 / (2 * temperature**2)
    half_covariance = torch.addr(second, mean, mean, beta=half, alpha=-half)

    rows = torch.empty_like(scale)
    grad_query, grad_key = torch.empty_like(query), torch.empty_like(key)
    sums, products = [], []
    for part in _parts(query):
        q, q_norm = _unit(query[part], small)
        if keys is None:
            k = unit_keys[part]
        else:
            k, k_norm = _unit(key[part], small)
        curve = torch.addmm(slope, q, half_covariance)
        gap = curve.sub_(k, alpha=1 / temperature)
        loss = torch.add((q * gap).sum(dim=1), log_count, out=rows[part])
        weight = scale[part]
        if eps > 0:
            weight = weight * floored_share(loss, eps)
            rows[part] = floor_probability(loss, eps)
        weight = weight.unsqueeze(1)
        weighted = torch.mul(q, weight, out=grad_key[part])
        sums.append(weighted.sum(dim=0))
        products.append(q.t() @ weighted)
        grad = torch.addmm(gap, q, half_covariance, out=grad_query[part])
        _unit_backward(grad.mul_(weight), q, q_norm)
        if keys is not None:
            _unit_backward(weighted.mul_(-1 / temperature), k, k_norm)

    total = torch.dot(rows, scale)
    by_second = sum_tensors(products)
    by_mean = torch.addmv(
        sum_tensors(sums), by_second, mean, beta=1 / temperature, alpha=-2 * half
    )
    grad_keys = torch.empty_like(candidates)
    for part in _parts(candidates):
        c = unit_keys[part]
        size = share if isinstance(share, float) else 1.0
        grad = torch.addmm(
            *(by_mean, c, by_second),
            beta=size,
            alpha=2 * half * size,
            out=grad_keys[part],
        )
        if isinstance(share, Tensor):
            grad.mul_(share[part])
        if keys is None:
            grad.sub_(grad_key[part], alpha=1 / temperature)
        _unit_backward(grad, c, key_norm[part])
    if keys is None:
        return total, rows, grad_query, grad_keys, query.new_empty(0)
    return total, rows, grad_query, grad_key, grad_keys


def _shares(
    keys: Tensor, key_weight: Optional[Tensor]
) -> tuple[Union[float, Tensor], Union[float, Tensor]]:
    r"""The share of each key in the total weight, and the logarithm of the total."""
    if key_weight is None:
        return 1 / len(keys), math.log(len(keys))
    high = key_weight.amax().to(keys.dtype)
    weight = over_largest(key_weight, keys.dtype)
    count = weight.sum()
    return (weight / count).unsqueeze(1), count.log() + high.log()


def _moments(
    keys: Tensor,
    share: Union[float, Tensor],
    small: Tensor,
    unit_keys: Tensor,
    norm: Tensor,
) -> tuple[Tensor, Tensor]:
    r"""The mean of the unit keys and the mean of their outer products."""
    sums, products = [], []
    for part in _parts(keys):
        c, _ = _unit(keys[part], small, unit_keys[part], norm[part])
        weighted = c if isinstance(share, float) else c * share[part]
        sums.append(weighted.sum(dim=0))
        products.append(c.t() @ weighted)
    mean, second = sum_tensors(sums), sum_tensors(products)
    if isinstance(share, float):
        return mean.mul_(share), second.mul_(share)
    return mean, second


def _parts(x: Tensor) -> list[slice]:
    size = ROWS if x.is_cpu else max(ROWS, VALUES // max(1, x.size(1)))
    return [slice(start, start + size) for start in range(0, x.size(0), size)]


def _unit(
    x: Tensor,
    small: Tensor,
    out: Optional[Tensor] = None,
    norm: Optional[Tensor] = None,
) -> tuple[Tensor, Tensor]:
    r"""Unit rows as in :func:`~pyg_irllrec.functional.unit_norm`, and the norms that
    they were divided by, in three kernel launches."""
    norm = torch.linalg.vector_norm(x, dim=1, keepdim=True, out=norm).hypot_(small)
    return torch.div(x, norm, out=out), norm


def _unit_backward(grad: Tensor, unit: Tensor, norm: Tensor) -> None:
    r"""Convert the gradient of unit rows to the gradient of rows, in place."""
    along = (grad * unit).sum(dim=1, keepdim=True)
    grad.addcmul_(along, unit, value=-1).div_(norm)


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
    rows, *grads = ctx.saved_tensors
    grads = torch._foreach_mul(grads[: 2 + ctx.has_keys], upstream)
    by_scale = rows * upstream if ctx.needs_input_grad[3] else None
    return *grads, *(None,) * (3 - len(grads)), by_scale, *(None,) * 3


moments_sum.register_autograd(_backward, setup_context=_setup)
