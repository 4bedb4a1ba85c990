from __future__ import annotations

from itertools import pairwise
from typing import Any, Optional

import torch
from torch import Tensor

from pyg_irllrec.functional import info_nce
from pyg_irllrec.nn.models.backbone import BackboneOutput, add
from pyg_irllrec.nn.models.embedding_backbone import EmbeddingBackbone
from pyg_irllrec.utils.checks import check_not_negative, check_positive
from pyg_irllrec.utils.first_occurrence import first_occurrence


class BIGCF(EmbeddingBackbone):
    r"""The backbone of the `"Exploring the Individuality and Collectivity of Intents
    behind Interactions for Graph Collaborative Filtering"
    <https://arxiv.org/abs/2405.09042>`_ paper: a
    :class:`~pyg_irllrec.nn.LightGCN` whose embeddings are blurred by the intents they
    share with others,

    .. math::
        \mathbf{Z}^{\prime} = \mathbf{Z} + \mathbf{H} \circ \boldsymbol{\varepsilon},
        \qquad \mathbf{H} = \text{softmax}(\mathbf{Z} \mathbf{C}) \mathbf{C}^{\top},
        \qquad \boldsymbol{\varepsilon} \sim \mathcal{N}(0, 1)

    in training; in evaluation :math:`\mathbf{Z}^{\prime} = \mathbf{Z}`. InfoNCE within
    the users and positive items of a batch spreads users, spreads items and places
    users with their items by :math:`\mathbf{Z}^{\prime}`, and spreads both by
    :math:`\mathbf{H}`. A centre term keeps prototypes short. In the interaction
    intents, :math:`\mathbf{S}_l` weighs :math:`\mathbf{E}_{l+1}`.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        num_intents (int): The number of intent prototypes a side.
            (default: :obj:`128`)
        interaction_intents (bool): Whether to compute interaction intents, which only
            alignment needs. (default: :obj:`True`)
        center_weight (float): The weight of :math:`\|\mathbf{C}\|^2`.
            (default: :obj:`1e-5`)
        contrast_weight (float): The weight of the contrast. (default: :obj:`0.05`)
        temperature (float): Its temperature. (default: :obj:`0.2`)
        duplicates (bool): Whether a node that stands in the batch several times
            counts several times, and is its own negative. (default: :obj:`False`)
        eps (float): The floor under the contrast's logarithm; the authors' is
            :obj:`1e-8`. (default: :obj:`0.0`)
        **kwargs (optional): Further arguments of
            :class:`~pyg_irllrec.nn.EmbeddingBackbone`.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        num_intents: int = 128,
        interaction_intents: bool = True,
        center_weight: float = 1e-5,
        contrast_weight: float = 0.05,
        temperature: float = 0.2,
        duplicates: bool = False,
        eps: float = 0.0,
        **kwargs: Any,
    ) -> None:
        check_positive('num_intents', num_intents)
        check_positive('temperature', temperature)
        for name, value in (
            ('center_weight', center_weight),
            ('contrast_weight', contrast_weight),
            ('eps', eps),
        ):
            check_not_negative(name, value)
        super().__init__(num_users, num_items, num_intents=num_intents, **kwargs)
        self.interaction_intents = interaction_intents
        self.center_weight = center_weight
        self.contrast_weight = contrast_weight
        self.temperature = temperature
        self.duplicates = duplicates
        self.eps = eps

    def encode(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> BackboneOutput:
        r"""Embeds all nodes of a normalised graph; the view is :math:`\mathbf{H}`."""
        layers = self.layers(x, edge_index, edge_weight)
        intent = self._interaction_intent(layers, edge_index)
        embedding = add(layers)
        shared = self.intents(embedding)
        if self.training:
            noise = torch.randn(shared.shape, dtype=shared.dtype, device=shared.device)
            embedding = embedding + shared * noise
        return BackboneOutput(embedding, intent, (shared,))

    def _interaction_intent(
        self, layers: list[Tensor], edge_index: Tensor
    ) -> Optional[Tensor]:
        if not self.interaction_intents:
            return None
        convolved = [
            self.conv(after, edge_index, intent=self.intents(before))
            for before, after in pairwise(layers)
        ]
        return add(convolved) / self.num_layers

    def auxiliary_loss(
        self, output: BackboneOutput, triplets: Tensor
    ) -> dict[str, Tensor]:
        r"""The contrast within the batch and the centre term."""
        user, item = triplets[0], triplets[1] + self.num_users
        (shared,) = output.views
        embedding = output.embedding
        loss = (
            self._contrast(embedding, user, user)
            + self._contrast(embedding, item, item)
            + self._contrast(embedding, user, item)
            + self._contrast(shared, user, user)
            + self._contrast(shared, item, item)
        )
        assert self.user_prototypes is not None and self.item_prototypes is not None
        center = (
            self.user_prototypes.weight.square().sum()
            + self.item_prototypes.weight.square().sum()
        )
        return {
            'contrast': self.contrast_weight * loss,
            'center': self.center_weight * center,
        }

    def _contrast(self, x: Tensor, query: Tensor, key: Tensor) -> Tensor:
        r"""The mean loss of nodes :obj:`query` placed with nodes :obj:`key`."""
        weight = key_weight = None
        if not self.duplicates:
            key_weight = first_occurrence(key).to(x.dtype)
            weight = key_weight if query is key else None
        return info_nce(
            x[query],
            x[key],
            temperature=self.temperature,
            weight=weight,
            key_weight=key_weight,
            eps=self.eps,
        )
