from __future__ import annotations

from typing import ClassVar, Optional

from torch import Tensor

from pyg_irllrec.functional._reduction import sum_tensors
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.nn.backbones.contrastive_backbone import ContrastiveBackbone
from pyg_irllrec.nn.backbones.embedding_backbone import sums_layers
from pyg_irllrec.nn.loss.pairwise_alignment_loss import (
    PairwiseAlignmentLoss,
    align_sides,
)


class TwoViewBackbone(ContrastiveBackbone):
    r"""A :class:`~pyg_irllrec.nn.LightGCN` that is also trained to give each node
    similar embeddings :math:`\mathbf{z}^{\prime}` and :math:`\mathbf{z}^{\prime\prime}`
    in two views of the graph, by InfoNCE over the users and items of a batch of
    triplets :math:`\mathcal{B}`:

    .. math::
        \mathcal{L} = \sum_{k} \frac{1}{|\mathcal{B}|} \sum_{\mathcal{B}} -\log
        \frac{\exp(\cos(\mathbf{z}^{\prime}_k, \mathbf{z}^{\prime\prime}_k) / \tau)}
        {\sum_c \exp(\cos(\mathbf{z}^{\prime}_k, \mathbf{z}^{\prime\prime}_c) / \tau)}

    where :math:`k` runs over the columns of the triplets and :math:`c` over the nodes
    of the same side. Scores are computed on the whole graph. In evaluation, there are
    no views and no contrast. A subclass implements :meth:`view`.

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
        contrast_weight (float): The weight of the contrast. (default: :obj:`0.1`)
        temperature (float): The temperature :math:`\tau` of the contrast.
            (default: :obj:`0.2`)
        duplicates (bool): Whether a node that occurs several times in a batch counts
            each time. (default: :obj:`False`)
        negatives (str): The nodes :math:`c`: :obj:`"all"` nodes of the side, as in the
            papers, or those in the :obj:`"batch"`, which is much cheaper.
            (default: :obj:`"all"`)
        contrast_impl (str): The implementation of the contrast, see
            :func:`~pyg_irllrec.functional.info_nce`. (default: :obj:`"auto"`)
        impl (str): The implementation of :class:`~pyg_irllrec.nn.IntentLGConv`.
            (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import TwoViewBackbone
        >>> class FeatureDropout(TwoViewBackbone):
        ...     def view(self, x, edge_index, edge_weight):
        ...         x = torch.nn.functional.dropout(x, 0.1)
        ...         return self.layers(x, edge_index, edge_weight)
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [2, 3, 0, 1]])  # users 0, 1
        >>> backbone = FeatureDropout(2, 2, embedding_dim=8)
        >>> triplets = torch.tensor([[0, 1], [0, 1], [1, 0]])
        >>> list(backbone.auxiliary_loss(backbone(edge_index), triplets))
        ['contrast']
    """

    contrasts_negatives: ClassVar[bool] = True
    """Whether the negative items of a batch are also contrasted."""
    intent_of_view: ClassVar[bool] = False
    """Whether interaction intents are computed from the second view in training."""

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 32,
        *,
        num_layers: int = 3,
        num_intents: int = 0,
        intent_temperature: Optional[float] = None,
        contrast_weight: float = 0.1,
        temperature: float = 0.2,
        duplicates: bool = False,
        negatives: str = 'all',
        contrast_impl: str = 'auto',
        impl: str = 'auto',
    ) -> None:
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
        self.negatives = negatives
        self.contrast_impl = contrast_impl
        self.contrast_loss = PairwiseAlignmentLoss(
            temperature, negatives, duplicates, contrast_impl
        )

    def view(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> list[Tensor]:
        r"""Return the layers of a new view of a normalised graph."""
        raise NotImplementedError

    @sums_layers
    def encode(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> BackboneOutput:
        r"""Embed all nodes of a normalised graph; in training, also in two views."""
        if not self.training or self.contrast_weight == 0:
            return super().encode(x, edge_index, edge_weight)
        first, second = (self.view(x, edge_index, edge_weight) for _ in range(2))
        layers = self.layers(x, edge_index, edge_weight)
        seen = second if self.intent_of_view else layers
        intent = self.interaction_intent(seen[:-1], edge_index)
        return BackboneOutput(
            sum_tensors(layers), intent, (sum_tensors(first), sum_tensors(second))
        )

    def contrast(self, output: BackboneOutput, triplets: Tensor) -> Tensor:
        r"""Return the contrast of the two views."""
        first, second = output.views
        nodes = triplets if self.contrasts_negatives else triplets[:2]
        return align_sides(
            self.contrast_loss, self.contrast_loss, first, second, nodes, self.num_users
        )
