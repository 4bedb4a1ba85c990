from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor
from torch_geometric.typing import Adj

from pyg_irllrec.functional._reduction import sum_tensors
from pyg_irllrec.functional._shared_info_nce import shared_info_nce
from pyg_irllrec.nn.backbones.backbone import Backbone
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.nn.backbones.contrastive_backbone import ContrastiveBackbone
from pyg_irllrec.nn.backbones.embedding_backbone import sums_layers
from pyg_irllrec.nn.loss._batch import make_batch, wide_dtype
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_count, check_not_negative


class BIGCF(ContrastiveBackbone):
    r"""The backbone of the `"Exploring the Individuality and Collectivity of Intents
    behind Interactions for Graph Collaborative Filtering"
    <https://arxiv.org/abs/2405.09042>`_ paper: a :class:`~pyg_irllrec.nn.LightGCN` that
    adds noise to the embeddings, scaled by the collective intents of each node:

    .. math::
        \mathbf{Z}^{\prime} = \mathbf{Z} + \mathbf{H} \circ \boldsymbol{\varepsilon},
        \qquad \mathbf{H} = \text{softmax}(\mathbf{Z} \mathbf{C}) \mathbf{C}^{\top},
        \qquad \boldsymbol{\varepsilon} \sim \mathcal{N}(0, 1)

    in training; in evaluation, :math:`\mathbf{Z}^{\prime} = \mathbf{Z}`. The contrast
    is a sum of five InfoNCE terms over the users and positive items of a batch: on
    :math:`\mathbf{Z}^{\prime}`, users against users, items against items, and users
    against their items; on :math:`\mathbf{H}`, users against users and items against
    items. A centre term keeps prototypes short. Interaction intents are the mean over
    layers of :class:`~pyg_irllrec.nn.IntentLGConv` of :math:`\mathbf{E}_{l+1}` with the
    intents of :math:`\mathbf{E}_l`.

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
        interaction_intents (bool): Whether to compute interaction intents, which only
            the alignment of intents reads. (default: :obj:`True`)
        center_weight (float): The weight of the centre term :math:`\|\mathbf{C}\|^2`.
            (default: :obj:`1e-5`)
        eps (float): The constant :math:`\epsilon` in the logarithm of the contrast; the
            authors use :obj:`1e-8`. (default: :obj:`0.0`)
        contrast_weight (float): The weight of the contrast. (default: :obj:`0.1`)
        temperature (float): The temperature :math:`\tau` of the contrast.
            (default: :obj:`0.2`)
        duplicates (bool): Whether a node that occurs several times in a batch counts
            each time. If so, it is also one of its own negatives.
            (default: :obj:`False`)
        impl (str): The implementation of :class:`~pyg_irllrec.nn.IntentLGConv`.
            (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import BIGCF
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [2, 3, 0, 1]])  # users 0, 1
        >>> backbone = BIGCF(2, 2, embedding_dim=8, num_intents=4)
        >>> output = backbone(edge_index)
        >>> triplets = torch.tensor([[0, 1], [0, 1], [1, 0]])
        >>> sorted(backbone.auxiliary_loss(output, triplets))
        ['center', 'contrast']
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
        interaction_intents: bool = True,
        center_weight: float = 1e-5,
        eps: float = 0.0,
        contrast_weight: float = 0.1,
        temperature: float = 0.2,
        duplicates: bool = False,
        impl: str = 'auto',
    ) -> None:
        check_count('num_intents', num_intents)
        check_not_negative('center_weight', center_weight)
        check_not_negative('eps', eps)
        check_flag('interaction_intents', interaction_intents)
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
            impl=impl,
        )
        self.interaction_intents = interaction_intents
        self.center_weight = center_weight
        self.eps = eps

    @property
    def has_intents(self) -> bool:
        r"""Whether :meth:`forward` returns interaction intents."""
        return self.interaction_intents

    @sums_layers
    def encode(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> BackboneOutput:
        r"""Embed all nodes of a normalised graph; the view is :math:`\mathbf{H}`."""
        layers = self.layers(x, edge_index, edge_weight)
        embedding = sum_tensors(layers)
        seen = layers[:-1] if self.interaction_intents else []
        *intents, shared = self._layer_intents([*seen, embedding])
        intent = None
        if intents:
            convolved = [
                self.intent_conv(after, edge_index, intent=before)
                for before, after in zip(intents, layers[1:])
            ]
            intent = sum_tensors(convolved) / self.num_layers
        if self.training:
            noise = torch.randn(shared.shape, dtype=shared.dtype, device=shared.device)
            embedding = embedding + shared * noise
        return BackboneOutput(embedding, intent, (shared,))

    def get_embedding(
        self,
        edge_index: Adj,
        edge_weight: Optional[Tensor] = None,
        x: Optional[Tensor] = None,
    ) -> Tensor:
        r"""Return only the embeddings of :meth:`forward`; in training, with noise."""
        if self.training:
            return Backbone.get_embedding(self, edge_index, edge_weight, x)
        return super().get_embedding(edge_index, edge_weight, x)

    def auxiliary_loss(
        self, output: BackboneOutput, triplets: Tensor
    ) -> dict[str, Tensor]:
        r"""Return the weighted contrast and the centre term."""
        assert self.user_prototypes is not None and self.item_prototypes is not None
        squares = [
            side.weight.square().sum()
            for side in (self.user_prototypes, self.item_prototypes)
        ]
        contrast = super().auxiliary_loss(output, triplets)
        return {**contrast, 'center': self.center_weight * sum_tensors(squares)}

    def contrast(self, output: BackboneOutput, triplets: Tensor) -> Tensor:
        r"""Return the contrast within the batch."""
        once = not self.duplicates
        dtype = wide_dtype(output.embedding) if once else None
        batch = make_batch(triplets[:2], self.num_users, dtype)
        size = triplets.size(1)
        user, item = batch.take(output.embedding).split(size)
        of_user, of_item = batch.take(output.views[0]).split(size)
        weights: Sequence[Optional[Tensor]] = [None, None]
        shares = weights
        if batch.once is not None and batch.share is not None:
            weights, shares = batch.once.split(size), batch.share.split(size)
        losses = [
            self._contrast_pair(user, user, weights[0], shares[0]),
            self._contrast_pair(item, item, weights[1], shares[1]),
            self._contrast_pair(user, item, weights[1], None),
            self._contrast_pair(of_user, of_user, weights[0], shares[0]),
            self._contrast_pair(of_item, of_item, weights[1], shares[1]),
        ]
        return sum_tensors(losses)

    def _contrast_pair(
        self,
        query: Tensor,
        key: Tensor,
        key_weight: Optional[Tensor],
        share: Optional[Tensor],
    ) -> Tensor:
        r"""Return the mean loss of the pairs of rows, or with :obj:`share`, the
        weighted mean."""
        return shared_info_nce(
            self.ranks,
            query,
            key,
            temperature=self.temperature,
            weight=share,
            key_weight=key_weight,
            reduction='mean' if share is None else 'sum',
            eps=self.eps,
        )
