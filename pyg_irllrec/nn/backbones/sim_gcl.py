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
    paper: the views of :class:`~pyg_irllrec.nn.TwoViewBackbone` are propagated over the
    whole graph, with noise added to each layer:

    .. math::
        \mathbf{E}_{l+1} = \hat{\mathbf{A}} \mathbf{E}_l + \epsilon \,
        \text{sign}(\hat{\mathbf{A}} \mathbf{E}_l) \circ
        \frac{\boldsymbol{\Delta}}{\|\boldsymbol{\Delta}\|_2}, \qquad
        \boldsymbol{\Delta} \sim U(0, 1)

    Users and positive items are contrasted. As in the code of IRLLRec, views include
    layer 0, and interaction intents are computed without noise.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        embedding_dim (int): The width :math:`d` of the embeddings.
            (default: :obj:`32`)
        num_layers (int): The number of layers :math:`L`. (default: :obj:`3`)
        num_intents (int): The number of intent prototypes per side, 0 for none.
            (default: :obj:`0`)
        intent_temperature (float, optional): The temperature of
            :class:`~pyg_irllrec.nn.IntentPrototypes`. (default: :obj:`None`, inner
            products)
        noise (float): The length :math:`\epsilon` of the noise vector of each node.
            (default: :obj:`0.1`)
        contrast_weight (float): The weight of the contrast. (default: :obj:`0.1`)
        temperature (float): The temperature :math:`\tau` of the contrast.
            (default: :obj:`0.2`)
        duplicates (bool): Whether a node that occurs several times in a batch counts
            each time. (default: :obj:`False`)
        negatives (str): The negatives of a node: :obj:`"all"` nodes of its side, as in
            the papers, or those in the :obj:`"batch"`, which is much cheaper.
            (default: :obj:`"all"`)
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
        r"""Return the layers of a new noisy view."""
        layers = [x]
        for _ in range(self.num_layers):
            x = propagate(x, edge_index, edge_weight, impl=self.impl)
            draw = torch.rand(x.shape, dtype=x.dtype, device=x.device)
            sign = x.detach().sign()  # Its gradient is 0.
            x = torch.addcmul(x, F.normalize(draw), sign, value=self.noise)
            layers.append(x)
        return layers
