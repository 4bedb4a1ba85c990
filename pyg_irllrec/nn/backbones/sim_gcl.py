from __future__ import annotations

from typing import Optional

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
        num_users (int): The number of users.
        num_items (int): The number of items.
        embedding_dim (int): The width :math:`d` of the embeddings.
            (default: :obj:`32`)
        num_layers (int): The number of layers :math:`L`. (default: :obj:`3`)
        num_intents (int): The number of intent prototypes per side, 0 for none.
            (default: :obj:`0`)
        intent_temperature (float, optional): The temperature of
            :class:`~pyg_irllrec.nn.IntentPrototypes`.
            (default: :obj:`None`, their inner products)
        noise (float): The length :math:`\epsilon` of a node's noise.
            (default: :obj:`0.1`)
        contrast_weight (float): The weight of the contrast. (default: :obj:`0.1`)
        temperature (float): Its temperature :math:`\tau`. (default: :obj:`0.2`)
        duplicates (bool): Whether a node that stands several times in a batch
            counts several times. (default: :obj:`False`)
        negatives (str): The nodes that a node is contrasted with: :obj:`"all"` of the
            side, as in the papers, or those of the :obj:`"batch"`, which costs a
            fraction. (default: :obj:`"all"`)
        contrast_impl (str): The implementation of the contrast, see
            :func:`~pyg_irllrec.functional.info_nce`. (default: :obj:`"auto"`)
        impl (str): The implementation of :class:`~pyg_irllrec.nn.IntentLGConv`.
            (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import SimGCL
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [2, 3, 0, 1]])  # users 0, 1
        >>> backbone = SimGCL(2, 2, embedding_dim=8, noise=0.1)
        >>> triplets = torch.tensor([[0, 1], [0, 1], [1, 0]])
        >>> backbone.auxiliary_loss(backbone(edge_index), triplets)['contrast'].shape
        torch.Size([])
    """

    contrasts_negatives = False

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 32,
        *,
        num_layers: int = 3,
        num_intents: int = 0,
        intent_temperature: Optional[float] = None,
        noise: float = 0.1,
        contrast_weight: float = 0.1,
        temperature: float = 0.2,
        duplicates: bool = False,
        negatives: str = 'all',
        contrast_impl: str = 'auto',
        impl: str = 'auto',
    ) -> None:
        check_not_negative('noise', noise)
        super().__init__(
            num_users,
            num_items,
            embedding_dim,
            num_layers=num_layers,
            num_intents=num_intents,
            intent_temperature=intent_temperature,
            contrast_weight=contrast_weight,
            temperature=temperature,
            duplicates=duplicates,
            negatives=negatives,
            contrast_impl=contrast_impl,
            impl=impl,
        )
        self.noise = noise

    def view(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> list[Tensor]:
        r"""The layers of a new noisy view."""
        layers = [x]
        for _ in range(self.num_layers):
            x = propagate(x, edge_index, edge_weight, impl=self.impl)
            draw = torch.rand(x.shape, dtype=x.dtype, device=x.device)
            sign = x.detach().sign()  # It has no slope.
            x = torch.addcmul(x, F.normalize(draw), sign, value=self.noise)
            layers.append(x)
        return layers
