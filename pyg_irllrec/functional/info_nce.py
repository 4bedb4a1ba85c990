from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_chunked import info_nce_chunked
from pyg_irllrec.functional._kernels.info_nce_eager import info_nce_eager
from pyg_irllrec.functional._reduce import at_least_float32
from pyg_irllrec.utils.checks import (
    check_choice,
    check_length,
    check_matrix,
    check_not_negative,
    check_positive,
    check_same_shape,
)

IMPLEMENTATIONS = {'eager': info_nce_eager, 'chunked': info_nce_chunked}


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

    Args:
        query (torch.Tensor): The rows to place.
        key (torch.Tensor): The positive of each row.
        keys (torch.Tensor, optional): The candidates in the denominator. They
            should hold the positives; if they do not, a row's loss can be below
            zero. :obj:`None` takes :obj:`key`, that is, the batch.
            (default: :obj:`None`)
        temperature (float): :math:`\tau`. (default: :obj:`1.0`)
        weight (torch.Tensor, optional): How much each row counts, not below zero;
            the mean is a weighted one. (default: :obj:`None`, once)
        key_weight (torch.Tensor, optional): How much each candidate counts in the
            denominator, :math:`v_c`, not below zero. It has no gradient.
            (default: :obj:`None`, once)
        reduction (str): :obj:`"none"`, :obj:`"mean"` or :obj:`"sum"` over rows.
            (default: :obj:`"mean"`)
        eps (float): :math:`\epsilon`, bounds a row's loss by
            :math:`-\log \epsilon`. (default: :obj:`0.0`)
        impl (str): The implementation: :obj:`"eager"` holds all logits,
            :obj:`"auto"` chooses, so far always :obj:`"eager"`.
            (default: :obj:`"auto"`)

    Shapes:
        - **query**, **key:** :math:`(B, d)`
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
    check_length('weight', weight, query.size(0))
    check_length('key_weight', key_weight, candidates.size(0))
    check_positive('temperature', temperature)
    check_not_negative('eps', eps)
    check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
    check_choice('reduction', reduction, ('none', 'mean', 'sum'))

    kernel = IMPLEMENTATIONS['eager' if impl == 'auto' else impl]
    with torch.autocast(query.device.type, enabled=False):
        return kernel(
            at_least_float32(query),
            at_least_float32(key),
            None if keys is None else at_least_float32(keys),
            weight,
            None if key_weight is None else key_weight.detach(),
            temperature,
            eps,
            reduction,
        )
