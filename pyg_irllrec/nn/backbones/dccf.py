from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional import propagate
from pyg_irllrec.functional._reduction import sum_tensors
from pyg_irllrec.functional._shared_info_nce import shared_info_nce
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.nn.backbones.contrastive_backbone import ContrastiveBackbone
from pyg_irllrec.nn.backbones.embedding_backbone import sums_layers
from pyg_irllrec.nn.loss._batch import make_batch, wide_dtype
from pyg_irllrec.utils.checks import check_count


class DCCF(ContrastiveBackbone):
    r"""The backbone of the `"Disentangled Contrastive Collaborative Filtering"
    <https://arxiv.org/abs/2305.02759>`_ paper: each layer adds four views:

    .. math::
        \mathbf{G} = \hat{\mathbf{A}} \mathbf{E}_l, \qquad
        \mathbf{H} = \text{softmax}(\mathbf{E}_l \mathbf{C}) \mathbf{C}^{\top}, \qquad
        \mathbf{E}_{l+1} = \mathbf{E}_l + \mathbf{G} + \mathbf{H} + a(\mathbf{G}) +
        a(\mathbf{H}), \qquad \mathbf{Z} = \sum_{l=0}^{L} \mathbf{E}_l

    where :math:`a(\cdot)` is :class:`~pyg_irllrec.nn.IntentLGConv` of
    :math:`\mathbf{E}_l` with its argument as intents. In each layer, InfoNCE contrasts
    :math:`\mathbf{G}` with :math:`\mathbf{H}`, :math:`a(\mathbf{G})` and
    :math:`a(\mathbf{H})`, over the distinct users and over the distinct positive items
    of a batch. As in the authors' code, both sums are divided by the number of users.
    Interaction intents are the mean of :math:`a(\mathbf{H})` over layers.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        embedding_dim (int): The width :math:`d` of the embeddings.
            (default: :obj:`32`)
        num_layers (int): The number of layers :math:`L`. (default: :obj:`3`)
        num_intents (int): The number of intent prototypes per side.
            (default: :obj:`128`)
        intent_temperature (float, optional): The temperature of
            :class:`~pyg_irllrec.nn.IntentPrototypes`. (default: :obj:`None`, inner
            products)
        contrast_weight (float): The weight of the contrast. (default: :obj:`1e-3`)
        temperature (float): The temperature :math:`\tau` of the contrast.
            (default: :obj:`0.1`)
        impl (str): The implementation of :class:`~pyg_irllrec.nn.IntentLGConv`.
            (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import DCCF
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [2, 3, 0, 1]])  # users 0, 1
        >>> backbone = DCCF(2, 2, embedding_dim=8, num_layers=2, num_intents=4)
        >>> output = backbone(edge_index)
        >>> output.embedding.shape, len(output.views)  # four views per layer
        (torch.Size([4, 8]), 8)
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 32,
        *,
        num_layers: int = 3,
        num_intents: int = 128,
        intent_temperature: Optional[float] = None,
        contrast_weight: float = 1e-3,
        temperature: float = 0.1,
        impl: str = 'auto',
    ) -> None:
        check_count('num_intents', num_intents)
        super().__init__(
            num_users,
            num_items,
            embedding_dim,
            num_layers=num_layers,
            num_intents=num_intents,
            intent_temperature=intent_temperature,
            contrast_weight=contrast_weight,
            temperature=temperature,
            impl=impl,
        )

    @sums_layers
    def encode(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> BackboneOutput:
        r"""Embed all nodes of a normalised graph, with the views of all layers."""
        layers = [x]
        views: list[Tensor] = []
        for _ in range(self.num_layers):
            neighbours = propagate(x, edge_index, edge_weight, impl=self.impl)
            intents = self.intents(x)
            by_neighbours = self.intent_conv(x, edge_index, intent=neighbours)
            by_intents = self.intent_conv(x, edge_index, intent=intents)
            views += [neighbours, intents, by_neighbours, by_intents]
            x = x + neighbours + intents + by_neighbours + by_intents
            layers.append(x)
        intent = sum_tensors(views[3::4]) / self.num_layers
        return BackboneOutput(sum_tensors(layers), intent, tuple(views))

    def layers(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> list[Tensor]:
        r"""Return the final embeddings as a single layer."""
        return [self.encode(x, edge_index, edge_weight).embedding]

    def contrast(self, output: BackboneOutput, triplets: Tensor) -> Tensor:
        r"""Return the contrast of the views of each layer."""
        batch = make_batch(triplets[:2], self.num_users, wide_dtype(output.embedding))
        assert batch.once is not None
        rows = torch.stack([batch.take(view) for view in output.views])
        sides = rows.view(len(rows), 2, triplets.size(1), -1).unbind(dim=1)
        terms = []
        for side, once in zip(sides, batch.once.view(2, -1)):
            views = side.unbind()
            for start in range(0, len(views), 4):
                neighbours, *others = views[start : start + 4]
                terms += [self._contrast_pair(neighbours, x, once) for x in others]
        return torch.stack(terms).sum() / batch.once[: triplets.size(1)].sum()

    def _contrast_pair(self, query: Tensor, key: Tensor, once: Tensor) -> Tensor:
        r"""Return the sum of the losses of distinct nodes, with distinct nodes as
        negatives."""
        return shared_info_nce(
            self.ranks,
            query,
            key,
            temperature=self.temperature,
            weight=once,
            key_weight=once,
            reduction='sum',
        )
