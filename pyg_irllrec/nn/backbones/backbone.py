from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import cross_entropy
from torch_geometric.typing import Adj

from pyg_irllrec.functional._precision import widened
from pyg_irllrec.functional._reduction import sum_tensors
from pyg_irllrec.functional.bpr_loss import unchecked_bpr_loss
from pyg_irllrec.functional.info_nce import check_temperature
from pyg_irllrec.functional.intent_propagate import unchecked_intent_propagate
from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.nn.conv import IntentLGConv
from pyg_irllrec.nn.intent_prototypes import IntentPrototypes
from pyg_irllrec.utils.adjacency import symmetric_norm
from pyg_irllrec.utils.checks import (
    check_count,
    check_index,
    check_length,
    check_matrix,
    check_rows,
    check_same_shape,
)
from pyg_irllrec.utils.graph_cache import prepare_graph


class Backbone(Module):
    r"""The base class of all backbones of :class:`~pyg_irllrec.nn.IRLLRec`. A backbone
    computes node embeddings, interaction intents, and optionally its own loss terms.

    A subclass implements :meth:`encode` and, if it propagates features,
    :meth:`node_features`. To support intents, it returns :meth:`interaction_intent` in
    the output. A subclass with its own parameters initialises them in its constructor
    and again in :meth:`reset_parameters`. To use any other module as a backbone, wrap
    it in :class:`~pyg_irllrec.nn.ModuleBackbone`.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        embedding_dim (int): The width :math:`d` of the embeddings.
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
        >>> from pyg_irllrec.functional import propagate
        >>> from pyg_irllrec.nn import Backbone, BackboneOutput
        >>> class OneHop(Backbone):
        ...     def __init__(self, num_users, num_items, embedding_dim):
        ...         super().__init__(num_users, num_items, embedding_dim)
        ...         self.table = torch.nn.Embedding(self.num_nodes, embedding_dim)
        ...     def node_features(self):
        ...         return self.table.weight
        ...     def encode(self, x, edge_index, edge_weight):
        ...         return BackboneOutput(propagate(x, edge_index, edge_weight))
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [2, 3, 0, 1]])  # users 0, 1
        >>> OneHop(2, 2, embedding_dim=8)(edge_index).embedding.shape
        torch.Size([4, 8])
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int,
        *,
        num_intents: int = 0,
        intent_temperature: Optional[float] = None,
        impl: str = 'auto',
    ) -> None:
        super().__init__()
        check_count('num_users', num_users)
        check_count('num_items', num_items)
        check_count('embedding_dim', embedding_dim)
        check_count('num_intents', num_intents, least=0)
        if intent_temperature is not None:
            check_temperature('intent_temperature', intent_temperature)
        self.num_users = num_users
        self.num_items = num_items
        self.num_nodes = num_users + num_items
        self.embedding_dim = embedding_dim
        self.num_intents = num_intents
        self.intent_temperature = intent_temperature
        self.user_prototypes: Optional[IntentPrototypes] = None
        self.item_prototypes: Optional[IntentPrototypes] = None
        if num_intents > 0:
            self.user_prototypes, self.item_prototypes = (
                IntentPrototypes(
                    embedding_dim, num_intents, temperature=intent_temperature
                )
                for _ in range(2)
            )
        self.impl = impl
        self.intent_conv: Module = IntentLGConv(impl=impl)

    def reset_parameters(self) -> None:
        r"""Reset all learnable parameters: with the same seed, they equal those of a
        new backbone. A subclass with its own parameters resets them after
        :obj:`super().reset_parameters()`, in the order of its constructor."""
        for prototypes in (self.user_prototypes, self.item_prototypes):
            if prototypes is not None:
                prototypes.reset_parameters()

    @property
    def has_intents(self) -> bool:
        r"""Whether :meth:`forward` returns interaction intents, which intent texts can
        be aligned with."""
        return self.num_intents > 0

    def node_features(self) -> Optional[Tensor]:
        r"""Return the features to propagate, one row per node, or :obj:`None` (the
        default). :class:`~pyg_irllrec.nn.RLMRecGen` masks them."""
        return None

    def forward(
        self,
        edge_index: Adj,
        edge_weight: Optional[Tensor] = None,
        x: Optional[Tensor] = None,
    ) -> BackboneOutput:
        r"""Embed all nodes of the undirected user-item graph.

        Args:
            edge_index (torch.Tensor or SparseTensor): The undirected user-item
                graph, users first, in any PyG format; see
                :func:`~pyg_irllrec.utils.bipartite_edge_index`.
            edge_weight (torch.Tensor, optional): The normalised edge weights; those of
                a sparse matrix are its values. Missing weights are computed in every
                call: to compute them once, pass the result of
                :func:`~pyg_irllrec.utils.symmetric_norm`. (default: :obj:`None`)
            x (torch.Tensor, optional): Features to use instead of
                :meth:`node_features`. (default: :obj:`None`)
        """
        if x is None:
            x = self.node_features()
        else:
            check_rows('x', x, self.num_nodes)
        x = None if x is None else widened(x)
        dtype = torch.get_default_dtype() if x is None else x.dtype
        return self.encode(x, *self.normalise(edge_index, edge_weight, dtype))

    def encode(self, x: Any, edge_index: Tensor, edge_weight: Tensor) -> BackboneOutput:
        r"""Embed all nodes. A subclass implements this method.

        Args:
            x (torch.Tensor, optional): The features, or :obj:`None` if
                :meth:`node_features` returns :obj:`None`.
            edge_index (torch.Tensor): Both directions of the user-item graph, users
                first, sorted by target for :func:`~pyg_irllrec.functional.propagate`
                and :meth:`interaction_intent`. For layers of PyG, convert it with
                :func:`~pyg_irllrec.utils.plain_edge_index`.
            edge_weight (torch.Tensor): The normalised edge weights.
        """
        raise NotImplementedError

    def get_embedding(
        self,
        edge_index: Adj,
        edge_weight: Optional[Tensor] = None,
        x: Optional[Tensor] = None,
    ) -> Tensor:
        r"""Return only the embeddings of :meth:`forward`, for evaluation."""
        given = {} if x is None else {'x': x}
        output: BackboneOutput = self(edge_index, edge_weight, **given)
        return output.embedding

    def ranking_loss(self, user: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        r"""Return the ranking loss for the embeddings of a batch of triplets, each of
        shape :math:`(B, d)`; by default, :func:`~pyg_irllrec.functional.bpr_loss`."""
        if not (
            isinstance(user, Tensor)
            and isinstance(positive, Tensor)
            and isinstance(negative, Tensor)
            and user.shape == positive.shape == negative.shape
            and user.dim() == 2
        ):
            check_triplet_rows(user, positive, negative)
        return unchecked_bpr_loss(user, positive, negative)

    def auxiliary_loss(
        self, output: BackboneOutput, triplets: Tensor
    ) -> dict[str, Tensor]:
        r"""Return the backbone's own weighted loss terms by name, such as a contrast of
        views; by default, there are none. Each term is a scalar with a name that no
        other loss term has."""
        return {}

    def intents(self, x: Tensor) -> Tensor:
        r"""Return the mixture of intents of each node, with separate prototypes for
        users and items, :math:`\text{softmax}(\mathbf{X} \mathbf{C})
        \mathbf{C}^{\top}`, of shape :math:`(|\mathcal{V}|, d)`."""
        return self._mix_layers([x])[0]

    def _layer_intents(self, layers: Sequence[Tensor]) -> Sequence[Tensor]:
        r"""Return the :meth:`intents` of several layers, in one product unless a
        subclass overrides that method."""
        if type(self).intents is Backbone.intents:
            return self._mix_layers(layers)
        return [self.intents(x) for x in layers]

    def _mix_layers(self, layers: Sequence[Tensor]) -> Sequence[Tensor]:
        r"""Return the mixtures of intents of several layers, computed in one
        product."""
        if self.user_prototypes is None or self.item_prototypes is None:
            raise self._no_intents_error()
        for x in layers:
            if (
                not isinstance(x, Tensor)
                or x.dim() != 2
                or x.size(0) != self.num_nodes
                or x.layout is not torch.strided
            ):
                check_rows('x', x, self.num_nodes)
        dtype, num_layers = layers[0].dtype, len(layers)
        sizes = [self.num_users, self.num_items]
        users, items = zip(*[x.split(sizes) for x in layers])
        mixed = [
            prototypes(torch.cat(side) if num_layers > 1 else side[0])
            for prototypes, side in (
                (self.user_prototypes, users),
                (self.item_prototypes, items),
            )
        ]
        by_layer = [side.view(num_layers, -1, side.size(1)) for side in mixed]
        # Autocast may have changed the dtype.
        return torch.cat(by_layer, dim=1).to(dtype).unbind()

    def prototype_loss(self, x: Tensor, cluster: Tensor) -> Tensor:
        r"""Return the cross entropy between the intent shares of nodes and their
        clusters, which makes each prototype represent one cluster: the mean
        :math:`-\log` of each node's share of the prototype of its cluster, summed over
        users and items.

        Args:
            x (torch.Tensor): Embeddings of shape :math:`(|\mathcal{V}|, d)`.
            cluster (torch.Tensor): The cluster of each node, from 0 to
                :obj:`num_intents - 1`, of shape :math:`(|\mathcal{V}|)`.

        Raises:
            ValueError: If there are no prototypes, or a shape or number is invalid.
        """
        if self.user_prototypes is None or self.item_prototypes is None:
            raise self._no_intents_error()
        check_rows('x', x, self.num_nodes)
        check_index('cluster', cluster, self.num_intents)
        check_length('cluster', cluster, self.num_nodes)
        sides = [self.num_users, self.num_items]
        user, item = x.split(sides)
        of_user, of_item = cluster.long().split(sides)
        return cross_entropy(self.user_prototypes.logits(user), of_user) + (
            cross_entropy(self.item_prototypes.logits(item), of_item)
        )

    def _no_intents_error(self) -> ValueError:
        return ValueError(
            "'num_intents' must be at least 1 to use intents, got 0 for this "
            f'{type(self).__name__}'
        )

    def interaction_intent(
        self, layers: Sequence[Tensor], edge_index: Adj
    ) -> Optional[Tensor]:
        r"""Return the interaction intents of the IRLLRec paper:
        :class:`~pyg_irllrec.nn.IntentLGConv` of the embeddings of each layer with their
        own intents, on the graph without edge weights, averaged over :obj:`layers`;
        :obj:`None` without prototypes."""
        if self.num_intents == 0:
            return None
        if not isinstance(layers, (list, tuple)) or len(layers) == 0:
            got = 'none' if isinstance(layers, (list, tuple)) else type(layers).__name__
            raise ValueError(
                "'layers' must be a list of the embeddings of 1 layer or more, got "
                f'{got}'
            )
        conv = self.intent_conv
        unchecked = isinstance(conv, IntentLGConv) and not conv.is_customised()
        impl = conv.impl if isinstance(conv, IntentLGConv) else 'auto'
        graph, _ = prepare_graph(edge_index, None, self.num_nodes, impl)
        convolved = []
        for x, intent in zip(layers, self._layer_intents(layers)):
            if unchecked:
                out = unchecked_intent_propagate(x, intent, graph, None, impl)
            else:
                out = conv(x, graph.edge_index, intent=intent)
            convolved.append(out)
        return sum_tensors(convolved) / len(layers)

    def normalise(
        self, edge_index: Adj, edge_weight: Optional[Tensor], dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        r"""Convert any adjacency to an :obj:`edge_index` and edge weights. It is sorted
        in the first call that reads it, so that products are fast. Missing weights are
        computed by symmetric normalisation."""
        graph, edge_weight = prepare_graph(
            edge_index, edge_weight, self.num_nodes, self.impl
        )
        if edge_weight is None:
            edge_weight = symmetric_norm(graph.edge_index, self.num_nodes, dtype)
        return graph.edge_index, edge_weight

    def check_output(self, what: str, value: object) -> None:
        r"""Raise a :class:`ValueError` unless :obj:`value` has one row per node."""
        shape = (self.num_nodes, self.embedding_dim)
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if got != shape:
            raise ValueError(
                f"'backbone' must return {what} of shape {shape}, one row per node "
                f'with users first, got {got}'
            )

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.extra_repr()})'

    def extra_repr(self) -> str:
        r"""The arguments."""
        return repr_arguments(self)


def check_triplet_rows(user: Tensor, positive: Tensor, negative: Tensor) -> None:
    r"""Raise a :class:`ValueError` unless all are matrices of the same shape."""
    check_matrix('user', user)
    check_same_shape('positive', positive, 'user', user)
    check_same_shape('negative', negative, 'user', user)
