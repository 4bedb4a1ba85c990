from __future__ import annotations

from typing import Any

from torch import Tensor

from pyg_irllrec.functional import edge_dropout, node_dropout
from pyg_irllrec.nn.backbones.embedding_backbone import propagate_layers
from pyg_irllrec.nn.backbones.two_view_backbone import TwoViewBackbone
from pyg_irllrec.utils.checks import check_choice, check_fraction


class SGL(TwoViewBackbone):
    r"""The backbone of the `"Self-supervised Graph Learning for Recommendation"
    <https://arxiv.org/abs/2010.10783>`_ paper: the views of
    :class:`~pyg_irllrec.nn.TwoViewBackbone` are propagated over damaged graphs,

    .. math::
        \mathbf{E}_{l+1} = (\mathbf{M}_l \circ \hat{\mathbf{A}}) \, \mathbf{E}_l,
        \qquad \mathbf{M}_l \in \{0, 1\}^{|\mathcal{V}| \times |\mathcal{V}|}

    Users, positive and negative items are contrasted. A kept edge keeps its weight.
    As in the code of IRLLRec, interaction intents are those of the second view.

    Args:
        *args (optional): Those of :class:`~pyg_irllrec.nn.TwoViewBackbone`:
            :obj:`num_users`, :obj:`num_items`, :obj:`embedding_dim` and
            :obj:`num_layers`, all others by name.
        augmentation (str): What :math:`\mathbf{M}` leaves out: edges
            (:obj:`"edge"`), nodes with all their edges (:obj:`"node"`), or other
            edges in each layer (:obj:`"walk"`, random walk).
            (default: :obj:`"edge"`)
        dropout (float): The probability that one is left out. (default: :obj:`0.2`)
        **kwargs (optional): The same by name.
    """

    intent_of_view = True

    def __init__(
        self,
        *args: Any,
        augmentation: str = 'edge',
        dropout: float = 0.2,
        **kwargs: Any,
    ) -> None:
        check_choice('augmentation', augmentation, ('edge', 'node', 'walk'))
        check_fraction('dropout', dropout)
        super().__init__(*args, **kwargs)
        self.augmentation = augmentation
        self.dropout = dropout

    def view(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> list[Tensor]:
        r"""The layers of a new damaged graph."""
        num_draws = self.num_layers if self.augmentation == 'walk' else 1
        weights = [self._damage(edge_index, edge_weight) for _ in range(num_draws)]
        return propagate_layers(x, edge_index, weights * (self.num_layers // num_draws))

    def _damage(self, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        if self.augmentation == 'node':
            return node_dropout(edge_index, edge_weight, self.num_nodes, self.dropout)
        return edge_dropout(edge_weight, self.dropout)
