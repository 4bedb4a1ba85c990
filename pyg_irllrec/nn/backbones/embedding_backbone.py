from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Optional, TypeVar

import torch
from torch import Tensor
from torch.nn import Embedding
from torch.nn.init import xavier_uniform_
from torch_geometric.typing import Adj

from pyg_irllrec.functional._reduction import sum_tensors
from pyg_irllrec.functional.propagate import unchecked_propagate
from pyg_irllrec.nn._plain_module import is_plain
from pyg_irllrec.nn.backbones.backbone import Backbone
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.utils.checks import check_count, check_rows
from pyg_irllrec.utils.graph_cache import prepare_graph

Encode = TypeVar('Encode', bound=Callable[..., BackboneOutput])


def sums_layers(encode: Encode) -> Encode:
    r"""Mark an :meth:`~Backbone.encode` whose embedding is the sum of
    :meth:`~EmbeddingBackbone.layers`. Overrides are not marked."""
    encode.sums_layers = True  # type: ignore[attr-defined]
    return encode


class EmbeddingBackbone(Backbone):
    r"""The base class of backbones with one embedding table for users and one for
    items, which are propagated over the graph. A subclass overrides :meth:`layers`,
    whose sum is the final embedding, or :meth:`encode` to compute it in another way.

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
        impl (str): The implementation of :class:`~pyg_irllrec.nn.IntentLGConv`.
            (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import EmbeddingBackbone
        >>> class LastLayer(EmbeddingBackbone):
        ...     def layers(self, x, edge_index, edge_weight):
        ...         return super().layers(x, edge_index, edge_weight)[-1:]
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [2, 3, 0, 1]])  # users 0, 1
        >>> LastLayer(2, 2, embedding_dim=8, num_layers=2)(edge_index).embedding.shape
        torch.Size([4, 8])
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
        impl: str = 'auto',
    ) -> None:
        check_count('num_layers', num_layers)
        super().__init__(
            num_users,
            num_items,
            embedding_dim,
            num_intents=num_intents,
            intent_temperature=intent_temperature,
            impl=impl,
        )
        self.num_layers = num_layers
        # from_pretrained() skips the initialisation of Embedding.
        self.user_embedding, self.item_embedding = (
            Embedding.from_pretrained(torch.empty(count, embedding_dim), freeze=False)
            for count in (num_users, num_items)
        )
        self._draw_tables()

    def reset_parameters(self) -> None:
        r"""Reset all learnable parameters (Xavier-uniform)."""
        super().reset_parameters()
        self._draw_tables()

    def _draw_tables(self) -> None:
        xavier_uniform_(self.user_embedding.weight)
        xavier_uniform_(self.item_embedding.weight)

    def node_features(self) -> Tensor:
        r"""Return the embeddings :math:`\mathbf{E}_0` of users and items."""
        return torch.cat([self.user_embedding.weight, self.item_embedding.weight])

    def layers(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> list[Tensor]:
        r"""Return the layers :math:`\mathbf{E}_0, \ldots, \mathbf{E}_L` on a normalised
        graph, whose sum is the final embedding."""
        weights = [edge_weight] * self.num_layers
        return propagate_layers(x, edge_index, weights, self.impl)

    @sums_layers
    def encode(
        self, x: Tensor, edge_index: Tensor, edge_weight: Tensor
    ) -> BackboneOutput:
        r"""Embed all nodes of a normalised graph."""
        layers = self.layers(x, edge_index, edge_weight)
        intent = self.interaction_intent(layers[:-1], edge_index)
        return BackboneOutput(sum_tensors(layers), intent)

    def get_embedding(
        self,
        edge_index: Adj,
        edge_weight: Optional[Tensor] = None,
        x: Optional[Tensor] = None,
    ) -> Tensor:
        r"""Return only the embeddings of :meth:`forward`. Views and interaction intents
        are not computed, unless a subclass or a hook may change the result."""
        cls = type(self)
        if not (
            getattr(cls.encode, 'sums_layers', False)
            and cls.forward is Backbone.forward
            and is_plain(self, cls)
        ):
            return super().get_embedding(edge_index, edge_weight, x)
        if x is None:
            x = self.node_features()
        else:
            check_rows('x', x, self.num_nodes)
        return sum_tensors(
            self.layers(x, *self.normalise(edge_index, edge_weight, x.dtype))
        )


def propagate_layers(
    x: Tensor, edge_index: Tensor, edge_weights: Sequence[Tensor], impl: str
) -> list[Tensor]:
    r"""Return the features and the output of each layer, :math:`\mathbf{E}_{l+1} =
    \hat{\mathbf{A}}_l \mathbf{E}_l`, for one tensor of edge weights per layer."""
    graph, _ = prepare_graph(edge_index, None, x.size(0), impl)
    layers = [x]
    for edge_weight in edge_weights:
        weight: Optional[Tensor] = edge_weight
        if graph.edge_index is not edge_index:  # The input was not sorted.
            _, weight = prepare_graph(edge_index, edge_weight, x.size(0), impl)
        layers.append(unchecked_propagate(layers[-1], graph, weight))
    return layers
