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
    r"""What every backbone of :class:`~pyg_irllrec.nn.IRLLRec` is: node embeddings,
    interaction intents, and a loss of its own. How it is trained is not its concern.

    A subclass writes :meth:`encode`, and :meth:`node_features` where it propagates
    some. If it is to have intents, it returns those of :meth:`interaction_intent`. If
    it has parameters of its own, it draws them in its constructor and again in
    :meth:`reset_parameters`. A module that is no backbone becomes one in
    :class:`~pyg_irllrec.nn.ModuleBackbone`.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        embedding_dim (int): The width :math:`d` of the embeddings.
        num_intents (int): The number of intent prototypes per side, 0 for none.
            (default: :obj:`0`)
        intent_temperature (float, optional): The temperature of
            :class:`~pyg_irllrec.nn.IntentPrototypes`.
            (default: :obj:`None`, their inner products)
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
        r"""Draw all parameters anew: under the same seed, those of a new backbone. A
        subclass with parameters of its own draws them after
        :obj:`super().reset_parameters()`, in the order of its constructor."""
        for prototypes in (self.user_prototypes, self.item_prototypes):
            if prototypes is not None:
                prototypes.reset_parameters()

    @property
    def has_intents(self) -> bool:
        r"""Whether :meth:`forward` gives interaction intents, which those of the texts
        can be aligned with."""
        return self.num_intents > 0

    def node_features(self) -> Optional[Tensor]:
        r"""The features that are propagated, one row per node, which
        :class:`~pyg_irllrec.nn.RLMRecGen` masks. (default: :obj:`None`)"""
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
            edge_weight (torch.Tensor, optional): The normalised weights, also as
                the values of a sparse matrix. Missing ones are computed, in every
                call: pass those of :func:`~pyg_irllrec.utils.symmetric_norm` to
                pay once. (default: :obj:`None`)
            x (torch.Tensor, optional): Features in place of
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
        r"""Embed all nodes: what a subclass writes.

        Args:
            x (torch.Tensor, optional): The features, :obj:`None` where
                :meth:`node_features` has none.
            edge_index (torch.Tensor): Both directions of the user-item graph, users
                first, sorted by target for :func:`~pyg_irllrec.functional.propagate`
                and :meth:`interaction_intent`. For layers of PyG make it plain, see
                :func:`~pyg_irllrec.utils.plain_edge_index`.
            edge_weight (torch.Tensor): Its normalised weights.
        """
        raise NotImplementedError

    def get_embedding(
        self,
        edge_index: Adj,
        edge_weight: Optional[Tensor] = None,
        x: Optional[Tensor] = None,
    ) -> Tensor:
        r"""The embeddings of :meth:`forward` alone: all that evaluation needs."""
        given = {} if x is None else {'x': x}
        output: BackboneOutput = self(edge_index, edge_weight, **given)
        return output.embedding

    def ranking_loss(self, user: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        r"""The loss of the embeddings of a batch of triplets, each of shape
        :math:`(B, d)`. (default: :func:`~pyg_irllrec.functional.bpr_loss`)"""
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
        r"""The backbone's own weighted loss terms by name, such as the contrast of
        views: scalars, under names that no other term of the loss has.
        (default: none)"""
        return {}

    def intents(self, x: Tensor) -> Tensor:
        r"""The mixture of intents of every node, each side with its own prototypes,
        :math:`\text{softmax}(\mathbf{X} \mathbf{C}) \mathbf{C}^{\top}`, of shape
        :math:`(|\mathcal{V}|, d)`."""
        return self._mix_layers([x])[0]

    def _layer_intents(self, layers: Sequence[Tensor]) -> Sequence[Tensor]:
        r"""The :meth:`intents` of several layers, of a subclass those of its own."""
        if type(self).intents is Backbone.intents:
            return self._mix_layers(layers)
        return [self.intents(x) for x in layers]

    def _mix_layers(self, layers: Sequence[Tensor]) -> Sequence[Tensor]:
        r"""The mixtures of several layers, in the products of one."""
        if self.user_prototypes is None or self.item_prototypes is None:
            raise self._without_intents()
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
        # Autocast has narrowed it.
        return torch.cat(by_layer, dim=1).to(dtype).unbind()

    def prototype_loss(self, x: Tensor, cluster: Tensor) -> Tensor:
        r"""How far the prototypes are from standing for clusters of nodes: the mean
        of :math:`-\log` of each node's share of the prototype of its cluster, summed
        over both sides.

        Args:
            x (torch.Tensor): Embeddings of shape :math:`(|\mathcal{V}|, d)`.
            cluster (torch.Tensor): The number of each node's cluster, below
                :obj:`num_intents`, of shape :math:`(|\mathcal{V}|)`.

        Raises:
            ValueError: If there are no prototypes, or a shape or number is not as
                above.
        """
        if self.user_prototypes is None or self.item_prototypes is None:
            raise self._without_intents()
        check_rows('x', x, self.num_nodes)
        check_index('cluster', cluster, self.num_intents)
        check_length('cluster', cluster, self.num_nodes)
        sides = [self.num_users, self.num_items]
        user, item = x.split(sides)
        of_user, of_item = cluster.long().split(sides)
        return cross_entropy(self.user_prototypes.logits(user), of_user) + (
            cross_entropy(self.item_prototypes.logits(item), of_item)
        )

    def _without_intents(self) -> ValueError:
        return ValueError(f'this {type(self).__name__} has no intents (num_intents=0)')

    def interaction_intent(
        self, layers: Sequence[Tensor], edge_index: Adj
    ) -> Optional[Tensor]:
        r"""The interaction intents of the IRLLRec paper: the mean over
        :obj:`layers` of the :class:`~pyg_irllrec.nn.IntentLGConv` of node embeddings
        under their own intents, on the graph without its weights; :obj:`None` without
        prototypes."""
        if self.num_intents == 0:
            return None
        if not isinstance(layers, (list, tuple)) or len(layers) == 0:
            raise ValueError("'layers' must hold the embeddings of one layer or more")
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
        r"""Any adjacency as an :obj:`edge_index` and weights, sorted in the first call
        that sees it, so that products with it are fast; with weights by symmetric
        normalisation where there are none."""
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
                f"'backbone' must give {what} of shape {shape}, a row per node, users "
                f'first, got {got}'
            )

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.extra_repr()})'

    def extra_repr(self) -> str:
        r"""The arguments."""
        return repr_arguments(self)


def check_triplet_rows(user: Tensor, positive: Tensor, negative: Tensor) -> None:
    r"""Raise a :class:`ValueError` unless there is a user and two items per row."""
    check_matrix('user', user)
    check_same_shape('positive', positive, 'user', user)
    check_same_shape('negative', negative, 'user', user)
