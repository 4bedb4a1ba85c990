from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyg_irllrec.functional import info_nce, propagate
from pyg_irllrec.nn.models.backbone import BackboneOutput, add
from pyg_irllrec.nn.models.embedding_backbone import EmbeddingBackbone
from pyg_irllrec.utils.checks import check_not_negative, check_positive
from pyg_irllrec.utils.first_occurrence import first_occurrence


class DCCF(EmbeddingBackbone):
    r"""The backbone of the `"Disentangled Contrastive Collaborative Filtering"
    <https://arxiv.org/abs/2305.02759>`_ paper: four views of every layer that add up,

    .. math::
        \mathbf{G} = \hat{\mathbf{A}} \mathbf{E}_l, \qquad
        \mathbf{H} = \text{softmax}(\mathbf{E}_l \mathbf{C}) \mathbf{C}^{\top}, \qquad
        \mathbf{E}_{l+1} = \mathbf{E}_l + \mathbf{G} + \mathbf{H} + a(\mathbf{G}) +
        a(\mathbf{H}), \qquad \mathbf{Z} = \sum_{l=0}^{L} \mathbf{E}_l

    with :math:`a(\cdot)` the :class:`~pyg_irllrec.nn.IntentLGConv` of
    :math:`\mathbf{E}_l` that weighs edges by its argument. InfoNCE places
    :math:`\mathbf{G}` with :math:`\mathbf{H}`, :math:`a(\mathbf{G})` and
    :math:`a(\mathbf{H})` in each layer, among the distinct users, and among the
    distinct positive items, of a batch; as in the authors' code both sums are divided
    by the number of users. Interaction intents are the mean of :math:`a(\mathbf{H})`.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        num_intents (int): The number of intent prototypes a side.
            (default: :obj:`128`)
        contrast_weight (float): The weight of the contrast. (default: :obj:`1e-3`)
        temperature (float): Its temperature. (default: :obj:`0.1`)
        **kwargs (optional): Further arguments of
            :class:`~pyg_irllrec.nn.EmbeddingBackbone`.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        num_intents: int = 128,
        contrast_weight: float = 1e-3,
        temperature: float = 0.1,
        **kwargs: Any,
    ) -> None:
        check_positive('num_intents', num_intents)
        check_not_negative('contrast_weight', contrast_weight)
        check_positive('temperature', temperature)
        super().__init__(num_users, num_items, num_intents=num_intents, **kwargs)
        self.contrast_weight = contrast_weight
        self.temperature = temperature

    def encode(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> BackboneOutput:
        r"""Embeds all nodes of a normalised graph, with the views of all layers."""
        layers = [x]
        views: list[Tensor] = []
        for _ in range(self.num_layers):
            neighbours = propagate(x, edge_index, edge_weight)
            intents = self.intents(x)
            by_neighbours = self.conv(x, edge_index, intent=neighbours)
            by_intents = self.conv(x, edge_index, intent=intents)
            views += [neighbours, intents, by_neighbours, by_intents]
            x = x + neighbours + intents + by_neighbours + by_intents
            layers.append(x)
        intent = add(views[3::4]) / self.num_layers
        return BackboneOutput(add(layers), intent, tuple(views))

    def layers(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> list[Tensor]:
        r"""The embeddings that score, as one layer."""
        return [self.encode(x, edge_index, edge_weight).embedding]

    def auxiliary_loss(
        self, output: BackboneOutput, triplets: Tensor
    ) -> dict[str, Tensor]:
        r"""The contrast of the views of every layer."""
        user, item = triplets[0], triplets[1] + self.num_users
        num_users = first_occurrence(user).sum()
        terms = []
        for start in range(0, len(output.views), 4):
            neighbours, *others = output.views[start : start + 4]
            terms += [self._contrast(neighbours, other, user) for other in others]
            terms += [self._contrast(neighbours, other, item) for other in others]
        loss = torch.stack(terms).sum() / num_users
        return {'contrast': self.contrast_weight * loss}

    def _contrast(self, query: Tensor, key: Tensor, nodes: Tensor) -> Tensor:
        once = first_occurrence(nodes).to(query.dtype)
        return info_nce(
            query[nodes],
            key[nodes],
            temperature=self.temperature,
            weight=once,
            key_weight=once,
            reduction='sum',
        )
