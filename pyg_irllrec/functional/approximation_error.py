from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_moments import (
    LEAST_TEMPERATURE,
    log_sum_exp,
)
from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.functional.info_nce import check_temperature, check_weights
from pyg_irllrec.functional.unit_norm import unit_norm
from pyg_irllrec.utils.checks import (
    check_choice,
    check_count,
    check_generator,
    check_matrix,
    check_same_precision,
)


class ApproximationError(NamedTuple):
    r"""How far an approximate :func:`~pyg_irllrec.functional.info_nce` is off."""

    loss: Tensor
    """The root mean square error of a row's log-sum-exp."""
    query_gradient: Tensor
    """The relative error (in norm) of its gradient by unit queries."""
    key_gradient: Tensor
    """The relative error (in norm) of its gradient by unit keys."""


def approximation_error(
    query: Tensor,
    keys: Tensor,
    *,
    impl: str = 'moments',
    temperature: float = 1.0,
    key_weight: Optional[Tensor] = None,
    num_samples: int = 256,
    generator: Optional[torch.Generator] = None,
) -> ApproximationError:
    r"""Estimates the error of :func:`~pyg_irllrec.functional.info_nce` with
    :obj:`impl="moments"` or :obj:`impl="clusters"` on these very tensors: a sample of
    queries meets all keys, and a sample of keys all queries, in
    :math:`O(\text{num\_samples} \, (B + C) \, d)` time. The errors are those of the
    denominator: the gradient of the whole loss, in which positives are exact, is
    closer.

    Args:
        query (torch.Tensor): The queries, of shape :math:`(B, d)`.
        keys (torch.Tensor): The candidates, of shape :math:`(C, d)`.
        impl (str): :obj:`"moments"` or :obj:`"clusters"`.
            (default: :obj:`"moments"`)
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
    check_same_precision('keys', keys, 'query', query)
    check_choice('impl', impl, tuple(LEAST_TEMPERATURE))
    check_weights('key_weight', key_weight, keys.size(0))
    check_temperature('temperature', temperature)
    check_count('num_samples', num_samples)
    check_generator(generator)
    # Gradients are taken here also where the caller has switched them off.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(query.device.type, enabled=False),
    ):
        x = unit_norm(at_least_float32(query.detach()))
        y = unit_norm(at_least_float32(keys.detach()))
        v = torch.ones_like(y[:, 0])
        if key_weight is not None:
            v = key_weight.detach().to(v.dtype)
        x.requires_grad_()
        y.requires_grad_()
        close = log_sum_exp(x, y, v, temperature, impl)
        by_query, by_key = torch.autograd.grad(close.sum(), (x, y))
    x, y, close = x.detach(), y.detach(), close.detach()

    some = _sample(x, num_samples, generator)
    logits = x[some] @ y.t() / temperature + v.log()
    loss = (logits.logsumexp(dim=1) - close[some]).square().mean().sqrt()
    query_gradient = _relative(by_query[some], logits.softmax(dim=1) @ y / temperature)

    # By the approximate denominators, whose own error is of higher order.
    some = _sample(y, num_samples, generator)
    share = torch.exp(y[some] @ x.t() / temperature - close) * v[some].unsqueeze(1)
    return ApproximationError(
        loss, query_gradient, _relative(by_key[some], share @ x / temperature)
    )


def _sample(x: Tensor, number: int, generator: Optional[torch.Generator]) -> Tensor:
    if number >= x.size(0):
        return torch.arange(x.size(0), device=x.device)
    device = x.device if generator is None else generator.device
    draw = torch.randint(x.size(0), (number,), generator=generator, device=device)
    return draw.to(x.device)


def _relative(value: Tensor, expected: Tensor) -> Tensor:
    out: Tensor = (value - expected).norm() / expected.norm()
    return out
