from __future__ import annotations

from typing import Optional

from torch import Tensor

from pyg_irllrec.functional import edge_dropout, node_dropout
from pyg_irllrec.nn.backbones.embedding_backbone import propagate_layers
from pyg_irllrec.nn.backbones.two_view_backbone import TwoViewBackbone
from pyg_irllrec.utils.checks import check_choice, check_fraction


class SGL(TwoViewBackbone):
    r"""The backbone of the `"Self-supervised Graph Learning for Recommendation"
    <https://arxiv.org/abs/2010.10783>`_ paper: the views of
    :class:`~pyg_irllrec.nn.TwoViewBackbone` are propagated over graphs with random
    dropout:

    .. math::
        \mathbf{E}_{l+1} = (\mathbf{M}_l \circ \hat{\mathbf{A}}) \, \mathbf{E}_l,
        \qquad \mathbf{M}_l \in \{0, 1\}^{|\mathcal{V}| \times |\mathcal{V}|}

    Users, positive items and negative items are contrasted. The remaining edges keep
    their weights. As in the code of IRLLRec, interaction intents are computed from the
    second view in training.

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
        augmentation (str): What :math:`\mathbf{M}` drops: edges (:obj:`"edge"`), nodes
            with all their edges (:obj:`"node"`), or different edges in each layer
            (:obj:`"walk"`, random walk). (default: :obj:`"edge"`)
        dropout (float): The probability to drop an edge or a node.
            (default: :obj:`0.2`)
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
        >>> from pyg_irllrec.nn import SGL
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [2, 3, 0, 1]])  # users 0, 1
        >>> backbone = SGL(2, 2, embedding_dim=8, augmentation='walk', dropout=0.1)
        >>> len(backbone(edge_index).views), len(backbone.eval()(edge_index).views)
        (2, 0)
    """

    intent_of_view = True

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 32,
        *,
        num_layers: int = 3,
        num_intents: int = 0,
        intent_temperature: Optional[float] = None,
        augmentation: str = 'edge',
        dropout: float = 0.2,
        contrast_weight: float = 0.1,
        temperature: float = 0.2,
        duplicates: bool = False,
        negatives: str = 'all',
        contrast_impl: str = 'auto',
        impl: str = 'auto',
    ) -> None:
        check_choice('augmentation', augmentation, ('edge', 'node', 'walk'))
        check_fraction('dropout', dropout)
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
        self.augmentation = augmentation
        self.dropout = dropout

    def view(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> list[Tensor]:
        r"""Return the layers on a new graph with dropout."""
        num_draws = self.num_layers if self.augmentation == 'walk' else 1
        weights = [self._drop(edge_index, edge_weight) for _ in range(num_draws)]
        weights = weights * (self.num_layers // num_draws)
        return propagate_layers(x, edge_index, weights, self.impl)

    def _drop(self, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        if self.augmentation == 'node':
            return node_dropout(edge_index, edge_weight, self.num_nodes, self.dropout)
        return edge_dropout(edge_weight, self.dropout)
