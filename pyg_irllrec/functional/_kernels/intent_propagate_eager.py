from __future__ import annotations

from typing import Optional

from torch import Tensor

from pyg_irllrec.functional.unit_norm import unit_norm


def intent_propagate_eager(
    x: Tensor,
    intent: Tensor,
    source: Tensor,
    target: Tensor,
    edge_weight: Optional[Tensor],
) -> Tensor:
    r"""The formula, word for word: gathers :math:`|\mathcal{E}| \times d` values.
    It is the oracle of every faster form."""
    alpha = intent_attention(intent, source, target).to(x.dtype)
    if edge_weight is not None:
        alpha = alpha * edge_weight.to(x.dtype)
    total = alpha.new_zeros(x.size(0)).index_add(0, target, alpha)
    out = x.new_zeros(x.shape).index_add(0, target, alpha.unsqueeze(-1) * x[source])
    return out / total.where(total != 0, total.new_ones(())).unsqueeze(-1)


def intent_attention(intent: Tensor, source: Tensor, target: Tensor) -> Tensor:
    r""":math:`\alpha_{ij} = (\cos(\mathbf{h}_i, \mathbf{h}_j) + 1) / 2` on edges."""
    h = unit_norm(intent)
    return ((h[target] * h[source]).sum(dim=-1) + 1) / 2
