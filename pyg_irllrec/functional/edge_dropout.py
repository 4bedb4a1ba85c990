from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.checks import check_fraction, check_generator, check_vector


def edge_dropout(
    edge_weight: Tensor, p: float, generator: Optional[torch.Generator] = None
) -> Tensor:
    r"""Leave out each directed edge with probability :obj:`p` by a weight of zero,
    the edge dropout of the `"Self-supervised Graph Learning for Recommendation"
    <https://arxiv.org/abs/2010.10783>`_ paper. A kept edge keeps its weight, it is
    not scaled up.

    The edges themselves stay: a graph that was sorted once stays sorted, and shapes
    do not depend on draws. (:func:`torch_geometric.utils.dropout_edge` selects.)

    Args:
        edge_weight (torch.Tensor): Weights of shape :math:`(|\mathcal{E}|)`.
        p (float): The probability, in :math:`[0, 1)`.
        generator (torch.Generator, optional): Where the draws come from.
            (default: :obj:`None`, torch's own)

    Raises:
        ValueError: If a shape, dtype or option is not as above.
    """
    check_vector('edge_weight', edge_weight)
    check_fraction('p', p)
    check_generator(generator)
    if p == 0:
        return edge_weight
    draw = torch.rand(edge_weight.shape, device=edge_weight.device, generator=generator)
    # Added, not compared with the rate, so that both round as one.
    return edge_weight * (draw + (1 - p)).floor()
