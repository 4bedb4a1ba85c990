from __future__ import annotations

from typing import Any, Optional, Union

import torch
from torch import Tensor
from torch_geometric.nn.aggr import SumAggregation
from torch_geometric.nn.conv import MessagePassing
from torch_geometric.typing import Adj, OptPairTensor, OptTensor, PairTensor, Size
from torch_geometric.utils import is_sparse

from pyg_irllrec.functional._kernels.intent_propagate_eager import intent_attention
from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.functional.intent_propagate import (
    IMPLEMENTATIONS,
    unchecked_intent_propagate,
)
from pyg_irllrec.functional.unit_norm import unit_norm
from pyg_irllrec.nn._plain_module import is_plain
from pyg_irllrec.utils.adjacency import plain_edge_index
from pyg_irllrec.utils.checks import check_choice, check_matrix, check_rows
from pyg_irllrec.utils.graph_cache import prepare_graph, read_edges

STEPS = (
    'propagate',
    'edge_updater',
    'message',
    'aggregate',
    'message_and_aggregate',
    'update',
    'edge_update',
)


class IntentLGConv(MessagePassing):
    r"""The intent-aware light graph convolution from the `"Intent Representation
    Learning with Large Language Model for Recommendation"
    <https://arxiv.org/abs/2502.03307>`_ paper: a weighted mean over neighbours, in
    which neighbours with similar intents count more.

    .. math::
        \mathbf{x}^{\prime}_i = \frac{\sum_{j \in \mathcal{N}(i)} w_{ji}
        \alpha_{ij} \mathbf{x}_j}{\sum_{j \in \mathcal{N}(i)} w_{ji}
        \alpha_{ij}}, \qquad
        \alpha_{ij} = \frac{\cos(\mathbf{h}_i, \mathbf{h}_j) + 1}{2}

    The layer has no parameters and can replace :class:`~torch_geometric.nn.LGConv`. It
    normalises the messages itself: pass a plain graph, without the weights of
    :func:`~torch_geometric.nn.conv.gcn_conv.gcn_norm`. In the paper, :math:`w_{ji} =
    1`.

    An adjacency in any format is sorted and transposed in the first call that reads it.
    The result is cached on the adjacency until the adjacency changes. Single messages
    are computed, by :meth:`~torch_geometric.nn.MessagePassing.propagate`, only if a
    subclass overrides one of its steps, the flow or aggregation is not the default, a
    hook is registered, or an explainer runs. The method :meth:`message` of a subclass
    may take :obj:`alpha`, :obj:`edge_weight`, and :obj:`x` and :obj:`intent` of both
    ends (:obj:`x_i`, :obj:`x_j` and so on).

    Args:
        impl (str): The implementation, see
            :func:`~pyg_irllrec.functional.intent_propagate`.
            (default: :obj:`"auto"`)

    Shapes:
        - **input:** node features :math:`(|\mathcal{V}|, F)` or
          :math:`((|\mathcal{V_s}|, F), (|\mathcal{V_t}|, *))` if bipartite,
          edges (any PyG adjacency, sparse ones transposed),
          edge weights :math:`(|\mathcal{E}|)` *(optional)*,
          node intents :math:`(|\mathcal{V}|, F')` or
          :math:`((|\mathcal{V_s}|, F'), (|\mathcal{V_t}|, F'))` if bipartite
          *(optional)*
        - **output:** node features :math:`(|\mathcal{V}|, F)` or
          :math:`(|\mathcal{V_t}|, F)` if bipartite

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import IntentLGConv
        >>> edge_index = torch.tensor([[1, 2, 0, 0], [0, 0, 1, 2]])
        >>> x, intent = torch.randn(3, 16), torch.randn(3, 4)
        >>> conv = IntentLGConv()
        >>> conv(x, edge_index, intent=intent).shape
        torch.Size([3, 16])
        >>> torch.allclose(conv(x, edge_index)[1], x[0])  # its only neighbour
        True
    """

    def __init__(self, impl: str = 'auto') -> None:
        check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
        super().__init__(aggr='add')
        self.impl = impl

    def forward(
        self,
        x: Union[Tensor, OptPairTensor],
        edge_index: Adj,
        edge_weight: OptTensor = None,
        intent: Union[Tensor, PairTensor, None] = None,
        size: Size = None,
    ) -> Tensor:
        r"""Run the layer.

        Args:
            x (torch.Tensor or tuple): The node features; for a bipartite graph, a pair
                of the features of sources and of targets. The features of targets may
                be :obj:`None` if :obj:`intent` is given.
            edge_index (torch.Tensor or SparseTensor): Any PyG adjacency; sparse
                matrices must be transposed.
            edge_weight (torch.Tensor, optional): The edge weights, if :obj:`edge_index`
                is not a sparse matrix. (default: :obj:`None`)
            intent (torch.Tensor or tuple, optional): The node intents; a pair if
                :obj:`x` is a pair. (default: :obj:`None`, the node features)
            size (tuple, optional): The numbers of sources and targets.
                (default: :obj:`None`, the numbers of rows of :obj:`x` and
                :obj:`intent`)

        Raises:
            ValueError: If a shape, size, dtype or id is invalid.
        """
        is_pair = not isinstance(x, Tensor)
        if isinstance(x, Tensor):
            features, intents = _read_square(x, intent, size)
        else:
            features, intents = _read_pairs(x, intent, size)
        num_sources, num_targets = intents[0].size(0), intents[1].size(0)
        if self._reads_messages():
            return self._propagate_messages(features, edge_index, edge_weight, intents)

        graph, edge_weight = prepare_graph(
            edge_index,
            edge_weight,
            num_sources,
            self.impl,
            num_targets if is_pair else None,
        )
        source, unit = features[0], intents[0]
        if is_pair:
            # Targets follow the sources and send no messages.
            source = torch.cat([source, source.new_zeros(num_targets, source.size(1))])
            unit = torch.cat(intents)
        out = unchecked_intent_propagate(source, unit, graph, edge_weight, self.impl)
        return out[num_sources:] if is_pair else out

    def is_customised(self) -> bool:
        r"""Whether a call may run other code than the formula, because of a subclass, a
        hook, another aggregation or an explainer."""
        return not is_plain(self, IntentLGConv) or self._reads_messages()

    def _reads_messages(self) -> bool:
        r"""Whether other code may read or change single messages."""
        if (
            self.explain
            or self.flow != 'source_to_target'
            or self.node_dim not in (0, -2)
            or type(self.aggr_module) is not SumAggregation
        ):
            return True
        own, cls = self.__dict__, type(self)
        for step in STEPS:
            # PyG generates some of them for each class, and for some layers.
            function = own[step] if step in own else getattr(cls, step)
            if getattr(function, '__module__', None) not in (
                __name__,
                MessagePassing.__module__,
                f'{cls.__module__}_{cls.__name__}_{step}',
            ):
                return True
        if torch.compiler.is_compiling():  # PyG skips hooks then.
            return False
        return bool(
            not is_plain(self.aggr_module, SumAggregation)
            or self._propagate_forward_pre_hooks
            or self._propagate_forward_hooks
            or self._message_forward_pre_hooks
            or self._message_forward_hooks
            or self._aggregate_forward_pre_hooks
            or self._aggregate_forward_hooks
            or self._message_and_aggregate_forward_pre_hooks
            or self._message_and_aggregate_forward_hooks
            or self._edge_update_forward_pre_hooks
            or self._edge_update_forward_hooks
        )

    def _propagate_messages(
        self,
        x: OptPairTensor,
        edge_index: Adj,
        edge_weight: OptTensor,
        intent: PairTensor,
    ) -> Tensor:
        if self.flow != 'source_to_target' and is_sparse(edge_index):
            raise ValueError(
                "'edge_index' must have shape (2, num_edges) for "
                "flow='target_to_source', got a sparse matrix: transpose it and use "
                'the default flow'
            )
        size = (intent[0].size(0), intent[1].size(0))
        edges, edge_weight = read_edges(edge_index, edge_weight, *size)
        edges = plain_edge_index(edges)
        # edge_updater_type: (intent: PairTensor, edge_weight: OptTensor)
        alpha = self.edge_updater(
            edges, intent=intent, edge_weight=edge_weight, size=size
        )
        if self.fuse and not self.explain and is_sparse(edge_index):
            edges = edge_index  # For an overridden message_and_aggregate.
        # propagate_type: (x: OptPairTensor, alpha: Tensor, edge_weight: OptTensor, intent: PairTensor)  # noqa: E501
        out: Tensor = self.propagate(
            edges,
            x=x,
            alpha=alpha.to(x[0].dtype),
            edge_weight=edge_weight,
            intent=intent,
            size=size,
        )
        return out

    def __repr__(self) -> str:
        given = '' if self.impl == 'auto' else f'impl={self.impl!r}'
        return f'{type(self).__name__}({given})'

    def edge_update(  # noqa: D102
        self,
        intent_i: Tensor,
        intent_j: Tensor,
        edge_weight: OptTensor,
        index: Tensor,
        dim_size: Optional[int],
    ) -> Tensor:
        target, source = (
            unit_norm(at_least_float32(value)) for value in (intent_i, intent_j)
        )
        num_targets = int(index.max()) + 1 if dim_size is None else dim_size
        return intent_attention(target, source, index, num_targets, edge_weight)

    def message(self, x_j: Tensor, alpha: Tensor) -> Tensor:  # noqa: D102
        return alpha.unsqueeze(-1) * x_j


def _read_square(
    x: Tensor, intent: Union[Tensor, PairTensor, None], size: Size
) -> tuple[OptPairTensor, PairTensor]:
    r"""Check the features and intents of a graph whose sources and targets are the same
    nodes."""
    check_matrix('x', x, may_be_empty=True)
    if intent is None:
        intent = x
    elif not isinstance(intent, Tensor):
        raise ValueError(
            f"'intent' must be a tensor if 'x' is one, got {type(intent).__name__}: "
            'for a bipartite graph pass x=(x_src, x_dst), in which x_dst may be None'
        )
    else:
        check_rows('intent', intent, x.size(0), 'per node')
    _check_given_size(size, x.size(0), x.size(0))
    return (x, x), (intent, intent)


def _read_pairs(
    x: OptPairTensor, intent: Union[Tensor, PairTensor, None], size: Size
) -> tuple[OptPairTensor, PairTensor]:
    r"""Check the features and intents of the sources and targets of a bipartite
    graph."""
    name = 'x' if intent is None else 'intent'
    source, target = _as_pair('x', x)
    check_matrix('x[0]', source, may_be_empty=True)
    h_source, h_target = _as_pair(name, x if intent is None else intent)
    if h_target is None:
        raise ValueError(
            f"'{name}[1]' must be a tensor with one row per target, got None: if the "
            'targets have no features, pass intent=(h_src, h_dst)'
        )
    check_rows(f'{name}[0]', h_source, source.size(0), 'per source')
    check_matrix(f'{name}[1]', h_target, may_be_empty=True)
    if target is not None and target is not h_target:
        check_rows('x[1]', target, h_target.size(0), 'per target')
    if h_source.size(1) != h_target.size(1):
        raise ValueError(
            f"'{name}' must have as many columns for sources as for targets, got "
            f'{h_source.size(1)} and {h_target.size(1)}'
            + (': pass intent=(h_src, h_dst)' if intent is None else '')
        )
    _check_given_size(size, h_source.size(0), h_target.size(0))
    return (source, target), (h_source, h_target)


def _as_pair(name: str, value: object) -> tuple[Any, Any]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        got = len(value) if isinstance(value, (tuple, list)) else type(value).__name__
        raise ValueError(
            f"'{name}' must be a pair of tensors, for sources and targets, got {got}"
        )
    return value[0], value[1]


def _check_given_size(size: Size, num_sources: int, num_targets: int) -> None:
    if size is None:
        return
    given = tuple(size) if isinstance(size, (tuple, list)) else size
    own = (num_sources, num_targets)
    if not isinstance(given, tuple) or len(given) != 2:
        raise ValueError(
            f"'size' must be the pair {own}, the numbers of sources and targets, got "
            f'{given}'
        )
    if any(a is not None and a != b for a, b in zip(given, own, strict=True)):
        raise ValueError(
            f"'size' must be the numbers of sources and targets, {own}, got {given}"
        )
