from __future__ import annotations

import math
from collections.abc import Callable
from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_chunked import (
    UNSHIFTED_FROM,
    info_nce_chunked,
)
from pyg_irllrec.functional._kernels.info_nce_eager import info_nce_eager
from pyg_irllrec.functional._kernels.info_nce_moments import (
    info_nce_clusters,
    info_nce_moments,
)
from pyg_irllrec.functional._kernels.info_nce_symmetric import info_nce_symmetric
from pyg_irllrec.functional._kernels.info_nce_torch import info_nce_torch
from pyg_irllrec.functional._kernels.info_nce_triton import (
    BOUND,
    fits_triton,
    info_nce_triton,
)
from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import (
    check_choice,
    check_length,
    check_matrix,
    check_not_below,
    check_not_negative,
    check_same_precision,
    check_same_shape,
    is_number,
)

# Its inverse times a cosine must be a float.
LEAST_TEMPERATURE = 1e-30

IMPLEMENTATIONS: dict[str, Callable[..., Tensor]] = {
    'eager': info_nce_eager,
    'chunked': info_nce_chunked,
    'torch': info_nce_torch,
    'triton': info_nce_triton,
    'moments': info_nce_moments,
    'clusters': info_nce_clusters,
}


def info_nce(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor] = None,
    *,
    temperature: float = 1.0,
    weight: Optional[Tensor] = None,
    key_weight: Optional[Tensor] = None,
    reduction: str = 'mean',
    eps: float = 0.0,
    symmetric: bool = False,
    impl: str = 'auto',
) -> Tensor:
    r"""The InfoNCE loss of every row of :obj:`query` with its own row of
    :obj:`key` against all rows of :obj:`keys`, from the `"Representation Learning
    with Contrastive Predictive Coding" <https://arxiv.org/abs/1807.03748>`_ paper
    (Equation 4), on unit rows:

    .. math::
        \ell_b = -\log(p_b + \epsilon), \qquad
        p_b = \frac{\exp(n(\mathbf{q}_b)^{\top} n(\mathbf{k}_b) / \tau)}
        {\sum_{c} v_c \exp(n(\mathbf{q}_b)^{\top} n(\mathbf{c}_c) / \tau)}, \qquad
        n(\mathbf{x}) = \frac{\mathbf{x}}{\sqrt{10^{-8} + \|\mathbf{x}\|^2}}

    IRLLRec (`arXiv:2502.03307 <https://arxiv.org/abs/2502.03307>`_) aligns graph
    and text embeddings with it.

    Half-precision input is computed, and returned, in :obj:`float32`, also under
    autocast: a logit of :math:`1/\tau` does not survive eight bits of mantissa.
    :obj:`"triton"` alone keeps its unit rows to eleven bits then.

    Args:
        query (torch.Tensor): The rows to place.
        key (torch.Tensor): The positive of each row.
        keys (torch.Tensor, optional): The candidates in the denominator. They
            should hold the positives; if they do not, a row's loss can be below
            zero. :obj:`None` takes :obj:`key`, that is, the batch.
            (default: :obj:`None`)
        temperature (float): :math:`\tau`. (default: :obj:`1.0`)
        weight (torch.Tensor, optional): How much each row counts, not below zero and
            not zero everywhere; the mean is a weighted one.
            (default: :obj:`None`, once)
        key_weight (torch.Tensor, optional): How much each candidate counts in the
            denominator, :math:`v_c`, likewise. It has no gradient.
            (default: :obj:`None`, once)
        reduction (str): :obj:`"none"`, :obj:`"mean"` or :obj:`"sum"` over rows.
            (default: :obj:`"mean"`)
        eps (float): :math:`\epsilon`, bounds a row's loss by
            :math:`-\log \epsilon`. (default: :obj:`0.0`)
        symmetric (bool): Whether to take the mean with the loss of every row of
            :obj:`key` against all rows of :obj:`query`, as CLIP does; only without
            :obj:`keys`. :obj:`weight` and :obj:`key_weight` hold for both.
            (default: :obj:`False`)
        impl (str): The implementation. (default: :obj:`"auto"`)

            - :obj:`"eager"` holds all :math:`B \times C` logits, and has derivatives
              of every order; the other exact ones have first ones only.
            - :obj:`"chunked"` takes blocks of rows, on every device, in
              :math:`O((B + C) d)` memory; with a reduction it computes gradients on
              the way.
            - :obj:`"torch"` is :func:`torch.nn.functional.linear_cross_entropy`, from
              torch 2.13 on.
            - :obj:`"triton"` is fused kernels for CUDA, up to :obj:`float32`, for
              :math:`d \leq 256` and temperatures from 0.001 on (extra
              :obj:`triton`). They are as exact as
              :obj:`float32` is, or, after
              :func:`torch.set_float32_matmul_precision` of :obj:`"high"` or
              :obj:`"medium"`, as TF32 is.
            - :obj:`"moments"` is linear in :math:`B + C` and approximate: it reads
              the mean and the covariance of the keys alone. It has derivatives of every
              order without a reduction, else first ones; temperatures below 0.2 are
              refused. :func:`~pyg_irllrec.functional.approximation_error` measures
              how far it is off.
            - :obj:`"clusters"` is the same with 64 means, for keys that lie in clusters
              and for lower temperatures (from 0.1 on). The clusters are found anew in
              every call, from draws of torch's generator.
            - :obj:`"auto"` is always exact: :obj:`"triton"` where that runs, else
              :obj:`"eager"` for up to :math:`2^{16}` logits, else :obj:`"chunked"`.

    Shapes:
        - **query**, **key:** :math:`(B, d)`, :math:`d \geq 1`
        - **keys:** :math:`(C, d)`
        - **weight:** :math:`(B)`, **key_weight:** :math:`(C)`
        - **output:** :math:`(B)` for :obj:`reduction="none"`, else a scalar

    Raises:
        ValueError: If a shape, dtype or option is not as above.
    """
    candidates = key if keys is None else keys
    for name, value in (('query', query), ('key', key), ('keys', candidates)):
        check_matrix(name, value)
    check_same_shape('key', key, 'query', query)
    if candidates.size(1) != query.size(1):
        raise ValueError(
            f"'keys' must be as wide as 'query', {query.size(1)}, got "
            f'{candidates.size(1)}'
        )
    if query.size(1) == 0:
        raise ValueError("'query' must have at least one column, got none")
    check_same_precision('key', key, 'query', query)
    check_same_precision('keys', candidates, 'query', query)
    check_weights('weight', weight, query.size(0))
    check_weights('key_weight', key_weight, candidates.size(0))
    check_temperature('temperature', temperature)
    check_not_negative('eps', eps)
    check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
    check_choice('reduction', reduction, ('none', 'mean', 'sum'))
    check_flag('symmetric', symmetric)
    if symmetric and keys is not None:
        raise ValueError("'keys' must be None where 'symmetric' is set, got a tensor")
    return unchecked_info_nce(
        query,
        key,
        keys,
        temperature=temperature,
        weight=weight,
        key_weight=key_weight,
        reduction=reduction,
        eps=eps,
        symmetric=symmetric,
        impl=impl,
    )


def check_temperature(name: str, value: float) -> None:
    r"""Raise a :class:`ValueError` unless :func:`info_nce` takes this temperature."""
    if not is_number(value):
        raise ValueError(f"'{name}' must be a number, got a {type(value).__name__}")
    check_not_below(f"'{name}'", value, LEAST_TEMPERATURE)


def check_weights(name: str, value: Optional[Tensor], length: int) -> None:
    r"""Raise a :class:`ValueError` unless there are no weights or a number per row,
    where one is negative or infinite, or none is above zero. It reads values, which
    only a CPU has at hand."""
    check_length(name, value, length)
    if value is not None and value.is_complex():
        raise ValueError(f"'{name}' must hold real numbers, got {value.dtype}")
    if value is None or not value.is_cpu or torch.compiler.is_compiling():
        return
    low, high = value.detach().aminmax()
    if not (low >= 0 and 0 < high < math.inf):
        raise ValueError(
            f"'{name}' must be finite, 0 or above, and not 0 everywhere, got values "
            f'from {low.item()} to {high.item()}'
        )


def unchecked_info_nce(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor] = None,
    *,
    temperature: float,
    weight: Optional[Tensor] = None,
    key_weight: Optional[Tensor] = None,
    reduction: str = 'mean',
    eps: float = 0.0,
    symmetric: bool = False,
    impl: str = 'auto',
) -> Tensor:
    r"""The same for callers that have checked their input."""
    if key_weight is not None:
        key_weight = key_weight.detach()
    last = key if keys is None else keys
    if impl == 'auto':
        impl = _fastest(query, last, temperature)
    narrowest = min(query.dtype.itemsize, key.dtype.itemsize, last.dtype.itemsize)
    if narrowest < 4 and impl != 'triton':  # It reads half precision as it is.
        query, key = at_least_float32(query), at_least_float32(key)
        keys = None if keys is None else at_least_float32(keys)
    kernel = IMPLEMENTATIONS[impl]
    with torch.autocast(query.device.type, enabled=False):
        if not symmetric:
            return kernel(
                query, key, keys, weight, key_weight, temperature, eps, reduction
            )
        if impl == 'chunked' and reduction != 'none' and temperature >= UNSHIFTED_FROM:
            return info_nce_symmetric(
                query, key, weight, key_weight, temperature, eps, reduction
            )
        if impl == 'triton' and 1 / temperature <= BOUND:
            options = weight, key_weight, temperature, eps, reduction
            return info_nce_triton(query, key, None, *options, symmetric=True)
        there, back = (
            kernel(a, b, None, weight, key_weight, temperature, eps, reduction)
            for a, b in ((query, key), (key, query))
        )
        return (there + back) / 2


def _fastest(query: Tensor, keys: Tensor, temperature: float) -> str:
    r"""The fastest of the exact implementations."""
    if query.is_cuda and fits_triton(query, temperature):
        return 'triton'
    return 'eager' if query.size(0) * keys.size(0) <= 2**16 else 'chunked'
