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
    r"""The errors of an approximate :func:`~pyg_irllrec.functional.info_nce`, as
    :func:`~pyg_irllrec.functional.approximation_error` estimates them.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import approximation_error
        >>> error = approximation_error(torch.randn(50, 16), torch.randn(80, 16))
        >>> error._fields
        ('loss', 'query_gradient', 'key_gradient')
        >>> bool(error.loss < 0.01)
        True
    """

    loss: Tensor
    """The root mean square error of the log-sum-exp of a row."""
    query_gradient: Tensor
    """The relative error (in norm) of its gradient with respect to unit queries."""
    key_gradient: Tensor
    """The relative error (in norm) of its gradient with respect to unit keys."""


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
    r"""Estimate the error of :func:`~pyg_irllrec.functional.info_nce` with
    :obj:`impl="moments"` or :obj:`impl="clusters"` on the given tensors.

    It compares a sample of queries with all keys, and a sample of keys with all
    queries, in :math:`O(\mathrm{num\_samples} \, (B + C) \, d)` time. The errors are
    those of the denominator. The gradient of the whole loss has a smaller error,
    because its positives are exact.

    Args:
        query (torch.Tensor): The queries, of shape :math:`(B, d)`.
        keys (torch.Tensor): The candidates, of shape :math:`(C, d)`.
        impl (str): :obj:`"moments"` or :obj:`"clusters"`.
            (default: :obj:`"moments"`)
        temperature (float): The temperature :math:`\tau`. (default: :obj:`1.0`)
        key_weight (torch.Tensor, optional): The weight of each candidate, of shape
            :math:`(C)`. (default: :obj:`None`, all 1)
        num_samples (int): The size of both samples. (default: :obj:`256`)
        generator (torch.Generator, optional): The source of randomness of both
            samples. (default: :obj:`None`, torch's own)

    Raises:
        ValueError: If an argument has an invalid shape, dtype or value.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import approximation_error
        >>> query, keys = torch.randn(50, 16), torch.randn(80, 16)
        >>> low = approximation_error(query, keys, temperature=0.2)
        >>> high = approximation_error(query, keys, temperature=1.0)
        >>> bool(low.loss > high.loss)
        True
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
    # Gradients are needed here even if the caller has switched them off.
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

    # With the approximate denominators: their error is of higher order.
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
