from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.checks import check_fraction, check_generator, check_vector


def edge_dropout(
    edge_weight: Tensor, p: float, generator: Optional[torch.Generator] = None
) -> Tensor:
    r"""Set the weight of each directed edge to zero with probability :obj:`p`: the edge
    dropout of the `"Self-supervised Graph Learning for Recommendation"
    <https://arxiv.org/abs/2010.10783>`_ paper. Other weights are not rescaled.

    Unlike :func:`torch_geometric.utils.dropout_edge`, it does not remove edges: a
    sorted graph stays sorted, and shapes do not depend on the draws.

    Args:
        edge_weight (torch.Tensor): Edge weights of shape :math:`(|\mathcal{E}|)`.
        p (float): The probability, in :math:`[0, 1)`.
        generator (torch.Generator, optional): The source of randomness.
            (default: :obj:`None`, torch's own)

    Raises:
        ValueError: If an argument has an invalid shape, dtype or value.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import edge_dropout
        >>> generator = torch.Generator().manual_seed(0)
        >>> edge_dropout(torch.ones(6), p=0.5, generator=generator)
        tensor([0., 1., 0., 0., 0., 1.])
    """
    check_vector('edge_weight', edge_weight)
    check_fraction('p', p)
    check_generator(generator)
    if p == 0:
        return edge_weight
    draw = torch.rand(edge_weight.shape, device=edge_weight.device, generator=generator)
    # Not draw >= p, which rounds differently: the authors' code floors this sum.
    return edge_weight * (draw + (1 - p)).floor()
