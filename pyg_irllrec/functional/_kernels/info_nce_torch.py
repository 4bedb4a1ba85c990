from __future__ import annotations

from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_irllrec.functional._kernels.info_nce_eager import floor_probability
from pyg_irllrec.functional._reduce import reduce_rows
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
    r"""By :func:`torch.nn.functional.linear_cross_entropy` in its own chunks, from
    torch 2.13 on."""
    if not hasattr(F, 'linear_cross_entropy'):
        raise ValueError(
            "impl='torch' needs torch 2.13 or newer for linear_cross_entropy, got "
            f"{torch.__version__}: take impl='chunked'"
        )
    x, key = unit_norm(query) / temperature, unit_norm(key)
    bias = None if key_weight is None else key_weight.to(x.dtype).log()
    # The target is any key: its logit is added again, and the positive's taken off.
    candidates = key if keys is None else unit_norm(keys)
    target = torch.zeros(x.size(0), dtype=torch.long, device=x.device)
    if keys is None:
        target = torch.arange(x.size(0), device=x.device)
    one_sum = weight is None and eps == 0 and reduction != 'none'
    entropy: Tensor = F.linear_cross_entropy(
        x,
        candidates,
        target,
        linear_bias=bias,
        reduction=reduction if one_sum else 'none',
        options=_options(),
    )
    if keys is not None:
        offset = (x * (candidates[:1] - key)).sum(dim=-1)
        if bias is not None:
            offset = offset + bias[0]
    elif bias is not None:
        offset = bias
    else:
        offset = x.new_zeros(x.size(0))
    if one_sum:
        return entropy + reduce_rows(offset, reduction)
    return reduce_rows(floor_probability(entropy + offset, eps), reduction, weight)


def _options() -> Any:
    return torch.nn.LinearCrossEntropyOptions()
