from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pyg_irllrec.functional import propagate
from pyg_irllrec.nn.backbones.two_view_backbone import TwoViewBackbone
from pyg_irllrec.utils.checks import check_not_negative


class SimGCL(TwoViewBackbone):
    r"""The backbone of the `"Are Graph Augmentations Necessary? Simple Graph
    Contrastive Learning for Recommendation" <https://arxiv.org/abs/2112.08679>`_
    paper: the views of :class:`~pyg_irllrec.nn.TwoViewBackbone` see the intact
    graph and add noise to every layer,

    .. math::
        \mathbf{E}_{l+1} = \hat{\mathbf{A}} \mathbf{E}_l + \epsilon \,
        \text{sign}(\hat{\mathbf{A}} \mathbf{E}_l) \circ
        \frac{\boldsymbol{\Delta}}{\|\boldsymbol{\Delta}\|_2}, \qquad
        \boldsymbol{\Delta} \sim U(0, 1)

    Users and positive items are contrasted. As in the code of IRLLRec, a view counts
    the layer 0, and interaction intents are those without noise.

    Args:
        *args (optional): Those of :class:`~pyg_irllrec.nn.TwoViewBackbone`:
            :obj:`num_users`, :obj:`num_items`, :obj:`embedding_dim` and
            :obj:`num_layers`, all others by name.
        noise (float): The length :math:`\epsilon` of a node's noise.
            (default: :obj:`0.1`)
        **kwargs (optional): The same by name.
    """

    contrasts_negatives = False

    def __init__(self, *args: Any, noise: float = 0.1, **kwargs: Any) -> None:
        check_not_negative('noise', noise)
        super().__init__(*args, **kwargs)
        self.noise = noise

    def view(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> list[Tensor]:
        r"""The layers of a new noisy view."""
        layers = [x]
        for _ in range(self.num_layers):
            x = propagate(x, edge_index, edge_weight)
            noise = torch.rand(x.shape, dtype=x.dtype, device=x.device)
            x = x + self.noise * F.normalize(noise) * x.sign()
            layers.append(x)
        return layers
