from __future__ import annotations

from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_eager import floor_probability
from pyg_irllrec.functional._reduction import reduce_rows
from pyg_irllrec.functional._second_order import refuse_second_order
from pyg_irllrec.functional.unit_norm import unit_norm


def info_nce_torch(
    query: Tensor,
    key: Tensor,
    keys: Optional[Tensor],
    weight: Optional[Tensor],
    key_weight: Optional[Tensor],
    temperature: float,
    eps: float,
    reduction: str,
) -> Tensor:
    r"""The loss from :func:`torch.nn.functional.linear_cross_entropy`, which is chunked
    and needs torch 2.13 or later."""
    if not hasattr(F, 'linear_cross_entropy'):
        raise ValueError(
            "impl='torch' needs torch 2.13 or later for linear_cross_entropy, got "
            f"{torch.__version__}: use impl='chunked'"
        )
    x, key = unit_norm(query) / temperature, unit_norm(key)
    candidates = key if keys is None else unit_norm(keys)
    one_sum = weight is None and eps == 0 and reduction != 'none'

    # Any key can be the target: its logit is replaced by that of the positive below.
    target = torch.arange(x.size(0), device=x.device)
    bias = offset = None
    if key_weight is not None:
        bias = key_weight.to(x.dtype).log()
        target = bias.argmax().expand_as(target)  # A key with a weight above 0.
        offset = bias[target]
    elif keys is not None:
        target = torch.zeros_like(target)
    if bias is not None or keys is not None:
        gap = (x * (candidates[target] - key)).sum(dim=-1)
        offset = gap if offset is None else gap + offset
    entropy: Tensor = F.linear_cross_entropy(
        x,
        candidates,
        target,
        linear_bias=bias,
        reduction=reduction if one_sum else 'none',
        options=_options(),
    )
    if entropy.requires_grad and not torch.compiler.is_compiling():
        # Torch's second derivatives are wrong.
        entropy.register_hook(_refuse_second_order)
    if one_sum:
        return entropy if offset is None else entropy + reduce_rows(offset, reduction)
    rows = entropy if offset is None else entropy + offset
    return reduce_rows(floor_probability(rows, eps), reduction, weight)


def _refuse_second_order(grad: Tensor) -> None:
    if torch.is_grad_enabled():
        refuse_second_order("impl='torch'")


def _options() -> Any:
    return torch.nn.LinearCrossEntropyOptions()
