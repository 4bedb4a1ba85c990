from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from torch import Tensor
from torch_geometric.typing import Adj

from pyg_irllrec.functional import edge_dropout
from pyg_irllrec.nn.backbones.embedding_backbone import (
    EmbeddingBackbone,
    propagate_layers,
)
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_fraction


class LightGCN(EmbeddingBackbone):
    r"""The backbone of the `"LightGCN: Simplifying and Powering Graph Convolution
    Network for Recommendation" <https://arxiv.org/abs/2002.02126>`_ paper
    (Equation 3), with the intents of `"Intent Representation Learning with Large
    Language Model for Recommendation" <https://arxiv.org/abs/2502.03307>`_:

    .. math::
        \mathbf{E}_{l+1} = \mathbf{D}^{-1/2} \mathbf{A} \mathbf{D}^{-1/2}
        \mathbf{E}_l, \qquad \mathbf{Z} = \sum_{l=0}^{L} \mathbf{E}_l, \qquad
        \mathbf{r} = \frac{1}{L} \sum_{l=0}^{L-1} \mathbf{S}_l

    where :math:`\mathbf{S}_l` is :class:`~pyg_irllrec.nn.IntentLGConv` of
    :math:`\mathbf{E}_l` with the intents that :class:`~pyg_irllrec.nn.IntentPrototypes`
    returns for :math:`\mathbf{E}_l`, with separate prototypes for users and items. The
    layers are summed, as in the code of IRLLRec and SSLRec, instead of averaged, as in
    the LightGCN paper.

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
        interaction_intents (bool): Whether to compute interaction intents, which only
            the alignment of intents reads. Prototypes without them cost nothing.
            (default: :obj:`True`)
        edge_dropout (float): The probability to drop a directed edge in a training
            step, see :func:`~pyg_irllrec.functional.edge_dropout`.
            (default: :obj:`0.0`)
        impl (str): The implementation of :class:`~pyg_irllrec.nn.IntentLGConv`.
            (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import LightGCN
        >>> from pyg_irllrec.utils import bipartite_edge_index
        >>> ratings = torch.tensor([[0, 0, 1, 2], [0, 1, 1, 2]])
        >>> edge_index = bipartite_edge_index(ratings, num_users=3, num_items=3)
        >>> backbone = LightGCN(3, 3, embedding_dim=16, num_intents=4)
        >>> output = backbone(edge_index)
        >>> output.embedding.shape, output.interaction_intent.shape
        (torch.Size([6, 16]), torch.Size([6, 16]))
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 32,
        *,
        num_layers: int = 3,
        num_intents: int = 0,
        intent_temperature: Optional[float] = None,
        interaction_intents: bool = True,
        edge_dropout: float = 0.0,
        impl: str = 'auto',
    ) -> None:
        check_fraction('edge_dropout', edge_dropout)
        check_flag('interaction_intents', interaction_intents)
        super().__init__(
            num_users,
            num_items,
            embedding_dim,
            num_layers=num_layers,
            num_intents=num_intents,
            intent_temperature=intent_temperature,
            impl=impl,
        )
        self.interaction_intents = interaction_intents
        self.edge_dropout = edge_dropout

    @property
    def has_intents(self) -> bool:
        r"""Whether :meth:`forward` returns interaction intents."""
        return self.interaction_intents and super().has_intents

    def interaction_intent(
        self, layers: Sequence[Tensor], edge_index: Adj
    ) -> Optional[Tensor]:
        r"""Return the interaction intents, or :obj:`None` if :obj:`interaction_intents`
        is :obj:`False`."""
        if not self.interaction_intents:
            return None
        return super().interaction_intent(layers, edge_index)

    def layers(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> list[Tensor]:
        r"""Return the layers; in training, on a graph with edge dropout."""
        if self.training and self.edge_dropout > 0:
            edge_weight = edge_dropout(edge_weight, self.edge_dropout)
        weights = [edge_weight] * self.num_layers
        return propagate_layers(x, edge_index, weights, self.impl)
