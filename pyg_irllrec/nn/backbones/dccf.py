from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyg_irllrec.functional import info_nce, propagate
from pyg_irllrec.functional._reduction import sum_tensors
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.nn.backbones.contrastive_backbone import ContrastiveBackbone
from pyg_irllrec.utils.checks import check_positive
from pyg_irllrec.utils.first_occurrence import first_occurrence


class DCCF(ContrastiveBackbone):
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
        *args (optional): Those of :class:`~pyg_irllrec.nn.ContrastiveBackbone`:
            :obj:`num_users`, :obj:`num_items`, :obj:`embedding_dim` and
            :obj:`num_layers`, all others by name.
        num_intents (int): The number of intent prototypes a side.
            (default: :obj:`128`)
        **kwargs (optional): The same by name. Here
            :obj:`contrast_weight=1e-3` and :obj:`temperature=0.1` are the defaults, and
            :obj:`duplicates` has no effect.
    """

    def __init__(self, *args: Any, num_intents: int = 128, **kwargs: Any) -> None:
        check_positive('num_intents', num_intents)
        options = {'contrast_weight': 1e-3, 'temperature': 0.1, **kwargs}
        super().__init__(*args, num_intents=num_intents, **options)

    def encode(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> BackboneOutput:
        r"""Embeds all nodes of a normalised graph, with the views of all layers."""
        layers = [x]
        views: list[Tensor] = []
        for _ in range(self.num_layers):
            neighbours = propagate(x, edge_index, edge_weight)
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
        r"""The embeddings that score, as one layer."""
        return [self.encode(x, edge_index, edge_weight).embedding]

    def contrast(self, output: BackboneOutput, triplets: Tensor) -> Tensor:
        r"""The contrast of the views of every layer."""
        user, item = triplets[0], triplets[1] + self.num_users
        terms = []
        for start in range(0, len(output.views), 4):
            neighbours, *others = output.views[start : start + 4]
            terms += [self._contrast_pair(neighbours, other, user) for other in others]
            terms += [self._contrast_pair(neighbours, other, item) for other in others]
        return torch.stack(terms).sum() / first_occurrence(user).sum()

    def _contrast_pair(self, query: Tensor, key: Tensor, nodes: Tensor) -> Tensor:
        once = first_occurrence(nodes).to(query.dtype)
        query, key, temperature = query[nodes], key[nodes], self.temperature
        loss = info_nce(
            query, key, temperature=temperature, weight=once, key_weight=once
        )
        return loss * once.sum()
