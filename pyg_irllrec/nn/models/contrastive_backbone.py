from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from pyg_irllrec.nn.loss.pairwise_alignment_loss import (
    PairwiseAlignmentLoss,
    align_sides,
)
from pyg_irllrec.nn.models.backbone import BackboneOutput, add
from pyg_irllrec.nn.models.embedding_backbone import EmbeddingBackbone
from pyg_irllrec.utils.checks import check_not_negative


class ContrastiveBackbone(EmbeddingBackbone):
    r"""A :class:`~pyg_irllrec.nn.LightGCN` that is also trained to give a node like
    embeddings :math:`\mathbf{z}^{\prime}, \mathbf{z}^{\prime\prime}` in two views of
    the graph: InfoNCE over the users and items of a batch of triplets
    :math:`\mathcal{B}`,

    .. math::
        \mathcal{L} = w \sum_{k} \frac{1}{|\mathcal{B}|} \sum_{\mathcal{B}} -\log
        \frac{\exp(\cos(\mathbf{z}^{\prime}_k, \mathbf{z}^{\prime\prime}_k) / \tau)}
        {\sum_c \exp(\cos(\mathbf{z}^{\prime}_k, \mathbf{z}^{\prime\prime}_c) / \tau)}

    with :math:`k` over the columns of the triplets and :math:`c` over all nodes of
    the side. The intact graph scores. In evaluation there are no views and no
    contrast. A subclass writes :meth:`view`.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        contrast_weight (float): :math:`w`. (default: :obj:`0.1`)
        temperature (float): :math:`\tau`. (default: :obj:`0.2`)
        duplicates (bool): Whether a node that stands in the batch several times
            counts several times. (default: :obj:`False`)
        **kwargs (optional): Further arguments of
            :class:`~pyg_irllrec.nn.EmbeddingBackbone`.
    """

    contrasts_negatives: ClassVar[bool] = True
    """Whether the negative items of a batch are contrasted too."""
    intent_of_view: ClassVar[bool] = False
    """Whether interaction intents are those of the second view in training."""

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        contrast_weight: float = 0.1,
        temperature: float = 0.2,
        duplicates: bool = False,
        **kwargs: Any,
    ) -> None:
        check_not_negative('contrast_weight', contrast_weight)
        super().__init__(num_users, num_items, **kwargs)
        self.contrast_weight = contrast_weight
        self.contrast = PairwiseAlignmentLoss(temperature, 'all', duplicates)

    def view(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> list[Tensor]:
        r"""The layers of a new view of a normalised graph."""
        raise NotImplementedError

    def encode(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> BackboneOutput:
        r"""Embeds all nodes of a normalised graph, in training also in two views."""
        if not self.training:
            return super().encode(x, edge_index, edge_weight)
        first, second = (self.view(x, edge_index, edge_weight) for _ in range(2))
        layers = self.layers(x, edge_index, edge_weight)
        seen = second if self.intent_of_view else layers
        intent = self.interaction_intent(seen[:-1], edge_index)
        return BackboneOutput(add(layers), intent, (add(first), add(second)))

    def auxiliary_loss(
        self, output: BackboneOutput, triplets: Tensor
    ) -> dict[str, Tensor]:
        r"""The contrast of the views; none in evaluation."""
        if not output.views:
            return {}
        first, second = output.views
        nodes = triplets if self.contrasts_negatives else triplets[:2]
        loss = align_sides(
            self.contrast, self.contrast, first, second, nodes, self.num_users
        )
        return {'contrast': self.contrast_weight * loss}
