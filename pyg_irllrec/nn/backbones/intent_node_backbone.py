from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor
from torch.nn import Module
from torch_geometric.typing import Adj

from pyg_irllrec.nn._plain_module import is_plain
from pyg_irllrec.nn.backbones.backbone import Backbone
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.utils.adjacency import (
    check_edge_index,
    check_node_ids,
    plain_edge_index,
)
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_count, check_not_negative, check_rows
from pyg_irllrec.utils.graph_cache import sorted_graph

_NAME = '_pyg_irllrec_with_intents'


class IntentNodeBackbone(Backbone):
    r"""A wrapper that runs any backbone on a graph of users, items and intents. Intents
    from texts become nodes that connect the users and items that share them, so that
    messages also pass between nodes without a common interaction:

    .. math::
        \hat{\mathbf{A}}^{\prime} = \begin{bmatrix} \hat{\mathbf{A}} & w
        \hat{\mathbf{B}} \\ w \hat{\mathbf{B}}^{\top} & \mathbf{0} \end{bmatrix},
        \qquad \hat{\mathbf{B}} = \mathbf{D}^{-1/2} \mathbf{B}\,
        \mathbf{D}_{\mathbf{c}}^{-1/2},

    where :math:`\hat{\mathbf{A}}` is the normalised user-item graph, :math:`\mathbf{B}`
    contains the weights of edges from users and items to intents, and
    :math:`\mathbf{D}` and :math:`\mathbf{D}_{\mathbf{c}}` are their row and column
    sums. With :math:`w = 0`, it equals the backbone without intents.

    Build the backbone for the items and the intents, as if intents were additional
    items at the end. The outputs have one row per user and item; only the views of a
    contrast also have rows for intents. A compiled call adds up edges in a different
    order from an eager call, so results differ by rounding.

    Args:
        backbone (Backbone): A backbone for :obj:`num_items` items and at least one
            intent.
        num_items (int): The number of items.
        user_edges (torch.Tensor): The edges from users to intents, pairs of ids that
            both start at 0, of shape :math:`(2, E_u)`. Compute them from *training*
            interactions only, as :class:`~pyg_irllrec.transforms.IntentNodes` does.
        item_edges (torch.Tensor): The edges from items to intents, likewise, of shape
            :math:`(2, E_i)`.
        user_weight (torch.Tensor, optional): The weights of :obj:`user_edges`, above 0,
            of shape :math:`(E_u)`. (default: :obj:`None`, ones)
        item_weight (torch.Tensor, optional): The weights of :obj:`item_edges`, above 0,
            of shape :math:`(E_i)`. (default: :obj:`None`, ones)
        weight (float): The weight :math:`w` of all edges to intents.
            (default: :obj:`1.0`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.nn import IntentNodeBackbone, LightGCN
        >>> from pyg_irllrec.transforms import IntentNodes
        >>> data = IntentNodes(3)(SyntheticIntents(12, 10, num_intents=2)[0])
        >>> wants, serves = data['user', 'has', 'intent'], data['item', 'has', 'intent']
        >>> backbone = IntentNodeBackbone(
        ...     LightGCN(12, 10 + 3, embedding_dim=8),  # 10 items, 3 intents
        ...     10,
        ...     wants.edge_index,
        ...     serves.edge_index,
        ...     wants.edge_weight,
        ...     serves.edge_weight,
        ... )
        >>> users, items = build_model(data, backbone).get_embeddings()
        >>> users.shape, items.shape
        (torch.Size([12, 8]), torch.Size([10, 8]))
    """

    intent_edge_index: Tensor
    intent_edge_weight: Tensor

    def __init__(
        self,
        backbone: Backbone,
        num_items: int,
        user_edges: Tensor,
        item_edges: Tensor,
        user_weight: Optional[Tensor] = None,
        item_weight: Optional[Tensor] = None,
        *,
        weight: float = 1.0,
    ) -> None:
        check_instance('backbone', backbone, Backbone)
        check_count('num_items', num_items)
        check_not_negative('weight', weight)
        num_users = backbone.num_users
        num_intents = backbone.num_items - num_items
        if num_intents < 1:
            raise ValueError(
                f"'backbone' must have more items than 'num_items', {num_items}, as it "
                f'embeds the intents after the items, got {backbone.num_items}'
            )
        user, user_weight = _check_edges(
            'user', user_edges, user_weight, num_users, num_intents
        )
        item, item_weight = _check_edges(
            'item', item_edges, item_weight, num_items, num_intents
        )
        super().__init__(
            num_users, num_items, backbone.embedding_dim, impl=backbone.impl
        )
        self.backbone = backbone
        self.weight = weight
        self.num_intents = backbone.num_intents
        self.intent_temperature = backbone.intent_temperature
        # Not registered as submodules, so that each weight has one name.
        self.__dict__['user_prototypes'] = backbone.user_prototypes
        self.__dict__['item_prototypes'] = backbone.item_prototypes
        node = torch.cat([user[0], item[0] + num_users])
        intent = torch.cat([user[1], item[1]])
        value = _normalise(node, intent, torch.cat([user_weight, item_weight]))
        intent = intent + self.num_nodes
        both = torch.stack([torch.cat([node, intent]), torch.cat([intent, node])])
        self.register_buffer('intent_edge_index', both, persistent=False)
        self.register_buffer(
            'intent_edge_weight', weight * value.repeat(2), persistent=False
        )

    def reset_parameters(self) -> None:
        r"""Reset all learnable parameters of the backbone."""
        self.backbone.reset_parameters()

    @property
    def has_intents(self) -> bool:
        r"""Whether the backbone returns interaction intents."""
        return self.backbone.has_intents

    def node_features(self) -> Optional[Tensor]:
        r"""Return the features of users and items."""
        features = self.backbone.node_features()
        return None if features is None else features[: self.num_nodes]

    def forward(
        self,
        edge_index: Adj,
        edge_weight: Optional[Tensor] = None,
        x: Optional[Tensor] = None,
    ) -> BackboneOutput:
        r"""Embed users and items on the user-item graph extended by intents. The
        arguments are those of :class:`~pyg_irllrec.nn.Backbone`."""
        given = {} if x is None else {'x': self._with_intents(x)}
        joined = self._join(edge_index, edge_weight)
        output: BackboneOutput = self.backbone(*joined, **given)
        self.backbone.check_output('embeddings', output.embedding)
        intent = output.interaction_intent
        return output._replace(
            embedding=output.embedding[: self.num_nodes],
            interaction_intent=None if intent is None else intent[: self.num_nodes],
        )

    def get_embedding(
        self,
        edge_index: Adj,
        edge_weight: Optional[Tensor] = None,
        x: Optional[Tensor] = None,
    ) -> Tensor:
        r"""Return only the embeddings of :meth:`forward`."""
        if not is_plain(self, IntentNodeBackbone):
            return super().get_embedding(edge_index, edge_weight, x)
        given = {} if x is None else {'x': self._with_intents(x)}
        joined = self._join(edge_index, edge_weight)
        return self.backbone.get_embedding(*joined, **given)[: self.num_nodes]

    def ranking_loss(self, user: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        r"""Return the ranking loss of the backbone."""
        return self.backbone.ranking_loss(user, positive, negative)

    def auxiliary_loss(
        self, output: BackboneOutput, triplets: Tensor
    ) -> dict[str, Tensor]:
        r"""Return the auxiliary loss terms of the backbone."""
        return self.backbone.auxiliary_loss(output, triplets)

    def _with_intents(self, x: Tensor) -> Tensor:
        r"""Append the features of intents to those of users and items."""
        check_rows('x', x, self.num_nodes)
        features = self.backbone.node_features()
        if features is None:
            raise ValueError(
                "'x' must be None for a backbone without node features, got "
                f'{type(x).__name__}'
            )
        return torch.cat([x, features[self.num_nodes :].to(x.dtype)])

    def _join(
        self, edge_index: Adj, edge_weight: Optional[Tensor]
    ) -> tuple[Tensor, Tensor]:
        r"""Return the graph with the edges of intents and its weights. The graph is
        sorted once and cached on the user-item graph, as in prepare_graph()."""
        added, value = self.intent_edge_index, self.intent_edge_weight
        graph, edge_weight = self.normalise(edge_index, edge_weight, value.dtype)
        weight = torch.cat([edge_weight, value.to(edge_weight.dtype)])
        is_kept = self.impl != 'eager' and not torch.compiler.is_compiling()
        kept = getattr(graph, _NAME, None) if is_kept else None
        if not isinstance(kept, _JoinedGraph) or kept.added is not added:
            with torch.inference_mode(False):
                both = torch.cat([plain_edge_index(graph), added], dim=1)
                if not is_kept:
                    return both, weight
                kept = _JoinedGraph(added, *sorted_graph(both, self.backbone.num_nodes))
            setattr(graph, _NAME, kept)
        return kept.edge_index, weight if kept.order is None else weight[kept.order]

    def __repr__(self) -> str:
        return Module.__repr__(self)


class _JoinedGraph(NamedTuple):
    r"""The extended graph that is cached on a user-item graph."""

    added: Tensor
    edge_index: Tensor
    order: Optional[Tensor]

    def __reduce__(self) -> tuple[type[set[object]], tuple[()]]:
        return set, ()  # Copies and saved files do not contain the cache.


def _check_edges(
    side: str,
    edges: Tensor,
    weight: Optional[Tensor],
    num_nodes: int,
    num_intents: int,
) -> tuple[Tensor, Tensor]:
    r"""Check the edges of a side and their weights."""
    name = f'{side}_edges'
    check_edge_index(edges, name=name)
    edges = plain_edge_index(edges)
    check_node_ids(edges[0], num_nodes, f'{name}[0] ({side}s)')
    check_node_ids(edges[1], num_intents, f'{name}[1] (intents)')
    if weight is None:
        weight = torch.ones(edges.size(1), device=edges.device)
    if not isinstance(weight, Tensor) or weight.shape != edges.shape[1:]:
        got = tuple(weight.shape) if isinstance(weight, Tensor) else type(weight)
        raise ValueError(
            f"'{side}_weight' must have one weight per edge of '{name}', shape "
            f'({edges.size(1)},), got {got}'
        )
    if weight.is_complex() or weight.layout is not torch.strided:
        raise ValueError(
            f"'{side}_weight' must be a dense tensor of real numbers, got "
            f'{weight.dtype}, {weight.layout}'
        )
    if not bool((weight > 0).all()):
        raise ValueError(f"'{side}_weight' must be above 0, got {float(weight.min())}")
    if bool(weight.isinf().any()):
        raise ValueError(f"'{side}_weight' must be finite, got infinity")
    return edges, weight.detach().to(torch.get_default_dtype())


def _normalise(node: Tensor, intent: Tensor, weight: Tensor) -> Tensor:
    r"""Divide each weight by the square roots of the weight sums at both ends of its
    edge."""
    total = weight
    for end in (node, intent):
        size = int(end.max()) + 1 if end.numel() > 0 else 0
        sums = weight.new_zeros(size).index_add(0, end, weight)
        total = total * sums[end].rsqrt()
    return total
