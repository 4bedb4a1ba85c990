from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.functional.unit_norm import unit_norm


def intent_propagate_eager(
    x: Tensor,
    intent: Tensor,
    source: Tensor,
    target: Tensor,
    edge_weight: Optional[Tensor],
) -> Tensor:
    r"""The formula as written, which gathers :math:`|\mathcal{E}| \times d` values. It
    is the reference for all faster implementations."""
    wide = at_least_float32(x)  # Long sums need float32.
    h = unit_norm(at_least_float32(intent))
    # Unlike h[target], index_select rejects -1.
    alpha = intent_attention(
        h.index_select(0, target),
        h.index_select(0, source),
        target,
        x.size(0),
        edge_weight,
    )
    message = alpha.to(wide.dtype).unsqueeze(-1) * wide.index_select(0, source)
    out = torch.zeros_like(wide).index_add(0, target, message)
    return out.to(x.dtype)


def intent_attention(
    target_intent: Tensor,
    source_intent: Tensor,
    target: Tensor,
    num_targets: int,
    edge_weight: Optional[Tensor],
) -> Tensor:
    r"""The weight of each edge in the mean of its target, :math:`w_{ji} \alpha_{ij} /
    \sum_j w_{ji} \alpha_{ij}` with :math:`\alpha_{ij} = (\cos(\mathbf{h}_i,
    \mathbf{h}_j) + 1) / 2`, from the unit intents of both ends of every edge."""
    # Opposite intents can round below 0.
    alpha = (((target_intent * source_intent).sum(dim=-1) + 1) / 2).relu()
    if edge_weight is not None:
        alpha = alpha * edge_weight
    total = alpha.new_zeros(num_targets).index_add(0, target, alpha)
    return alpha / total.where(total != 0, 1)[target]
