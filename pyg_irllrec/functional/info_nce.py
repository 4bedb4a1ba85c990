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

# Logits, which are at most its inverse, must be finite in float32.
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
    r"""The InfoNCE loss of the `"Representation Learning with Contrastive Predictive
    Coding" <https://arxiv.org/abs/1807.03748>`_ paper (Equation 4) on unit rows. It
    contrasts each row of :obj:`query` and its row of :obj:`key` with all rows of
    :obj:`keys`:

    .. math::
        \ell_b = -\log(p_b + \epsilon), \qquad
        p_b = \frac{\exp(n(\mathbf{q}_b)^{\top} n(\mathbf{k}_b) / \tau)}
        {\sum_{c} v_c \exp(n(\mathbf{q}_b)^{\top} n(\mathbf{c}_c) / \tau)}, \qquad
        n(\mathbf{x}) = \frac{\mathbf{x}}{\sqrt{10^{-8} + \|\mathbf{x}\|^2}}

    IRLLRec (`arXiv:2502.03307 <https://arxiv.org/abs/2502.03307>`_) aligns graph
    and text embeddings with it.

    Half-precision input is computed and returned in :obj:`float32`, also under
    autocast, because eight bits of mantissa are too few for a logit of :math:`1/\tau`.
    Only :obj:`impl="triton"` then rounds unit rows, to eleven bits.

    Args:
        query (torch.Tensor): The anchors.
        key (torch.Tensor): The positive of each anchor.
        keys (torch.Tensor, optional): The candidates in the denominator. They should
            include the positives, or a row's loss can be negative.
            (default: :obj:`None`, the rows of :obj:`key`, that is, in-batch negatives)
        temperature (float): The temperature :math:`\tau`. (default: :obj:`1.0`)
        weight (torch.Tensor, optional): The weight of each row in the sum or the
            weighted mean: at least 0, and not 0 everywhere.
            (default: :obj:`None`, all 1)
        key_weight (torch.Tensor, optional): The weight :math:`v_c` of each candidate in
            the denominator: at least 0, and not 0 everywhere. It gets no gradient.
            (default: :obj:`None`, all 1)
        reduction (str): :obj:`"none"`, :obj:`"mean"` or :obj:`"sum"` over rows.
            (default: :obj:`"mean"`)
        eps (float): The constant :math:`\epsilon`, which bounds the loss of a row by
            :math:`-\log \epsilon`. (default: :obj:`0.0`)
        symmetric (bool): Whether to average this loss and the loss with :obj:`query`
            and :obj:`key` swapped, as CLIP does. :obj:`weight` and :obj:`key_weight`
            apply to both. Only without :obj:`keys`. (default: :obj:`False`)
        impl (str): The implementation. (default: :obj:`"auto"`)

            - :obj:`"eager"` stores all :math:`B \times C` logits, and has derivatives
              of every order. The other exact implementations have first derivatives
              only.
            - :obj:`"chunked"` processes blocks of rows, on every device, in
              :math:`O((B + C) d)` memory. With a reduction it computes gradients in the
              forward pass.
            - :obj:`"torch"` is :func:`torch.nn.functional.linear_cross_entropy`, in
              torch 2.13 and later.
            - :obj:`"triton"` is a set of fused CUDA kernels for dtypes up to
              :obj:`float32`, :math:`d \leq 256` and temperatures of at least 0.001
              (extra :obj:`triton`). It has the precision of :obj:`float32`, or that of
              TF32 if :func:`torch.set_float32_matmul_precision` is set to
              :obj:`"high"` or :obj:`"medium"`.
            - :obj:`"moments"` is an approximation in :math:`O((B + C) d^2)` time from
              the mean and the covariance of the keys, for temperatures of at least 0.2.
              It has derivatives of every order without a reduction, else first
              derivatives only. Measure its error with
              :func:`~pyg_irllrec.functional.approximation_error`.
            - :obj:`"clusters"` is the same with 64 means, for clustered keys and lower
              temperatures (at least 0.1). Each call finds the clusters from scratch,
              with random draws from torch's generator.
            - :obj:`"auto"` is always exact: :obj:`"triton"` where available, else
              :obj:`"eager"` for up to :math:`2^{16}` logits, else :obj:`"chunked"`.

    Shapes:
        - **query**, **key:** :math:`(B, d)`, :math:`d \geq 1`
        - **keys:** :math:`(C, d)`
        - **weight:** :math:`(B)`, **key_weight:** :math:`(C)`
        - **output:** :math:`(B)` for :obj:`reduction="none"`, else a scalar

    Raises:
        ValueError: If an argument has an invalid shape, dtype or value.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import info_nce
        >>> graph, text = torch.eye(4), torch.eye(4)
        >>> info_nce(graph, text, temperature=0.2)
        tensor(0.0200)
        >>> info_nce(graph, text.flip(0), temperature=0.2)  # The wrong positives.
        tensor(5.0200)
        >>> info_nce(graph, text, temperature=0.2, reduction='none').shape
        torch.Size([4])
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
        raise ValueError("'query' must have at least one column, got 0")
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
        raise ValueError("'keys' must be None if 'symmetric' is True, got a tensor")
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
    r"""Raise a :class:`ValueError` unless :func:`info_nce` accepts the temperature."""
    if not is_number(value):
        raise ValueError(f"'{name}' must be a number, got a {type(value).__name__}")
    check_not_below(f"'{name}'", value, LEAST_TEMPERATURE)


def check_weights(name: str, value: Optional[Tensor], length: int) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is :obj:`None` or one real
    weight per row: finite, at least 0, and not 0 everywhere. Values are checked on a
    CPU only."""
    check_length(name, value, length)
    if value is not None and value.is_complex():
        raise ValueError(f"'{name}' must hold real numbers, got {value.dtype}")
    if value is None or not value.is_cpu or torch.compiler.is_compiling():
        return
    low, high = value.detach().aminmax()
    if not (low >= 0 and 0 < high < math.inf):
        raise ValueError(
            f"'{name}' must be finite, at least 0, and not 0 everywhere, got values "
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
    r"""The same without checks, for callers that have checked their input."""
    if key_weight is not None:
        key_weight = key_weight.detach()
    last = key if keys is None else keys
    if impl == 'auto':
        impl = _fastest(query, last, temperature)
    narrowest = min(query.dtype.itemsize, key.dtype.itemsize, last.dtype.itemsize)
    if narrowest < 4 and impl != 'triton':  # Triton reads half precision directly.
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
    r"""The name of the fastest exact implementation."""
    if query.is_cuda and fits_triton(query, temperature):
        return 'triton'
    return 'eager' if query.size(0) * keys.size(0) <= 2**16 else 'chunked'
