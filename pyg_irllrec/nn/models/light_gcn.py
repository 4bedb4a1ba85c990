from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch.nn import Embedding
from torch.nn.init import xavier_uniform_
from torch_geometric.typing import Adj

from pyg_irllrec.functional import propagate
from pyg_irllrec.nn.conv import IntentLGConv
from pyg_irllrec.nn.intent_prototypes import IntentPrototypes
from pyg_irllrec.nn.models.backbone import Backbone, BackboneOutput
from pyg_irllrec.utils.adjacency import symmetric_norm, to_edge_index
from pyg_irllrec.utils.checks import check_fraction, check_not_negative, check_positive
from pyg_irllrec.utils.graph_cache import GraphCache


class LightGCN(Backbone):
    r"""The backbone of the `"LightGCN: Simplifying and Powering Graph Convolution
    Network for Recommendation" <https://arxiv.org/abs/2002.02126>`_ paper, with
    the intents of `"Intent Representation Learning with Large Language Model for
    Recommendation" <https://arxiv.org/abs/2502.03307>`_:

    .. math::
        \mathbf{E}_{l+1} = \mathbf{D}^{-1/2} \mathbf{A} \mathbf{D}^{-1/2}
        \mathbf{E}_l, \qquad \mathbf{Z} = \sum_{l=0}^{L} \mathbf{E}_l, \qquad
        \mathbf{r} = \frac{1}{L} \sum_{l=0}^{L-1} \mathbf{S}_l

    where :math:`\mathbf{S}_l` is :class:`~pyg_irllrec.nn.IntentLGConv` of
    :math:`\mathbf{E}_l` under the intents :class:`~pyg_irllrec.nn.IntentPrototypes`
    of :math:`\mathbf{E}_l`, each side with its own. The layers are summed, as in
    the IRLLRec and SSLRec code, not averaged as in the LightGCN paper.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        embedding_dim (int): The width :math:`d`. (default: :obj:`32`)
        num_layers (int): The number of layers :math:`L`. (default: :obj:`3`)
        num_intents (int): The number of intent prototypes a side, 0 for a
            LightGCN without intents. (default: :obj:`0`)
        edge_dropout (float): The probability to leave out a directed edge of the
            propagation in a training step. A kept edge keeps its weight, it is
            not scaled up. (default: :obj:`0.0`)
        impl (str): The implementation of the intent-aware convolution.
            (default: :obj:`"auto"`)
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 32,
        num_layers: int = 3,
        num_intents: int = 0,
        edge_dropout: float = 0.0,
        impl: str = 'auto',
    ) -> None:
        super().__init__(num_users, num_items, embedding_dim)
        check_positive('num_layers', num_layers)
        check_not_negative('num_intents', num_intents)
        check_fraction('edge_dropout', edge_dropout)
        self.num_layers = num_layers
        self.num_intents = num_intents
        self.edge_dropout = edge_dropout
        self.user_embedding = Embedding(num_users, embedding_dim)
        self.item_embedding = Embedding(num_items, embedding_dim)
        self.user_prototypes: Optional[IntentPrototypes] = None
        self.item_prototypes: Optional[IntentPrototypes] = None
        if num_intents > 0:
            self.user_prototypes = IntentPrototypes(embedding_dim, num_intents)
            self.item_prototypes = IntentPrototypes(embedding_dim, num_intents)
        self.conv = IntentLGConv(impl=impl)
        self._graph = GraphCache()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        r"""Draws all parameters anew (Xavier-uniform)."""
        xavier_uniform_(self.user_embedding.weight)
        xavier_uniform_(self.item_embedding.weight)
        for prototypes in (self.user_prototypes, self.item_prototypes):
            if prototypes is not None:
                prototypes.reset_parameters()

    def forward(
        self, edge_index: Adj, edge_weight: Optional[Tensor] = None
    ) -> BackboneOutput:
        r"""Embeds all nodes.

        Args:
            edge_index (torch.Tensor or SparseTensor): The undirected user-item
                graph, users first, in any PyG format; see
                :func:`~pyg_irllrec.utils.bipartite_edge_index`.
            edge_weight (torch.Tensor, optional): The normalised weights, also as
                the values of a sparse matrix. Missing ones are computed, in every
                call: pass those of :func:`~pyg_irllrec.utils.symmetric_norm` to
                pay once. (default: :obj:`None`)
        """
        edge_index, edge_weight = self._sorted(edge_index, edge_weight)
        layers = self._layers(edge_index, edge_weight)
        if self.num_intents == 0:
            return BackboneOutput(_sum(layers))
        intents = [
            self.conv(x, edge_index, intent=self.intents(x)) for x in layers[:-1]
        ]
        return BackboneOutput(_sum(layers), _sum(intents) / len(intents))

    def embed(self, edge_index: Adj, edge_weight: Optional[Tensor] = None) -> Tensor:
        r"""The embeddings alone, without a convolution over intents."""
        edge_index, edge_weight = self._sorted(edge_index, edge_weight)
        return _sum(self._layers(edge_index, edge_weight))

    def _sorted(
        self, edge_index: Adj, edge_weight: Optional[Tensor]
    ) -> tuple[Tensor, Optional[Tensor]]:
        if torch.compiler.is_compiling() or self.conv.impl == 'eager':
            return to_edge_index(edge_index, edge_weight)
        return self._graph.sort(edge_index, edge_weight, self.num_nodes)

    def _layers(
        self, edge_index: Tensor, edge_weight: Optional[Tensor]
    ) -> list[Tensor]:
        x = torch.cat([self.user_embedding.weight, self.item_embedding.weight])
        if edge_weight is None:
            edge_weight = symmetric_norm(edge_index, self.num_nodes, x.dtype)
        if self.training and self.edge_dropout > 0:
            draw = torch.rand(edge_weight.shape, device=edge_weight.device)
            # Added, not compared with the rate, so that both round as one.
            edge_weight = edge_weight * (draw + (1 - self.edge_dropout)).floor()
        layers = [x]
        for _ in range(self.num_layers):
            layers.append(propagate(layers[-1], edge_index, edge_weight))
        return layers

    def intents(self, x: Tensor) -> Tensor:
        r"""The mixture of intents of every node, each side with its own
        prototypes, of shape :math:`(|\mathcal{V}|, d)`."""
        if self.user_prototypes is None or self.item_prototypes is None:
            raise ValueError('this LightGCN has no intents (num_intents=0)')
        user, item = x[: self.num_users], x[self.num_users :]
        return torch.cat([self.user_prototypes(user), self.item_prototypes(item)])


def _sum(layers: list[Tensor]) -> Tensor:
    r"""The sum of tensors, without a copy of them all beside each other."""
    return sum(layers[1:], layers[0])
