from __future__ import annotations

from typing import NamedTuple, Optional

from torch import Tensor
from torch.nn import Module
from torch_geometric.typing import Adj

from pyg_irllrec.utils.checks import check_positive


class BackboneOutput(NamedTuple):
    r"""What a backbone computes, users first, then items."""

    embedding: Tensor
    """Node embeddings :math:`\\mathbf{Z}` that score, :math:`(|\\mathcal{V}|, d)`."""
    intent: Optional[Tensor] = None
    """Interaction intents :math:`\\mathbf{r}`, of the same shape."""


class Backbone(Module):
    r"""The base of every backbone of :class:`~pyg_irllrec.nn.IRLLRec`. A backbone
    says what it computes, never how it is trained.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        embedding_dim (int): The width :math:`d` of its embeddings.
    """

    def __init__(self, num_users: int, num_items: int, embedding_dim: int) -> None:
        super().__init__()
        check_positive('num_users', num_users)
        check_positive('num_items', num_items)
        check_positive('embedding_dim', embedding_dim)
        self.num_users = num_users
        self.num_items = num_items
        self.embedding_dim = embedding_dim

    @property
    def num_nodes(self) -> int:
        r"""The number of users and items."""
        return self.num_users + self.num_items

    def forward(
        self, edge_index: Adj, edge_weight: Optional[Tensor] = None
    ) -> BackboneOutput:
        r"""Embeds all nodes of the undirected user-item graph."""
        raise NotImplementedError

    def embed(self, edge_index: Adj, edge_weight: Optional[Tensor] = None) -> Tensor:
        r"""The embeddings of :meth:`forward` alone: all that evaluation needs."""
        output: BackboneOutput = self(edge_index, edge_weight)
        return output.embedding

    def auxiliary_loss(
        self, output: BackboneOutput, triplets: Tensor
    ) -> dict[str, Tensor]:
        r"""The backbone's own weighted loss terms by name, such as the contrast of
        views. (default: none)"""
        return {}

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_users={self.num_users}, '
            f'num_items={self.num_items}, embedding_dim={self.embedding_dim})'
        )
