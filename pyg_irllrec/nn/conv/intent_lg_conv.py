from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor
from torch_geometric.nn.conv import MessagePassing
from torch_geometric.typing import Adj

from pyg_irllrec.functional import intent_propagate
from pyg_irllrec.functional._kernels.intent_propagate_eager import intent_attention
from pyg_irllrec.functional.intent_propagate import IMPLEMENTATIONS
from pyg_irllrec.utils.adjacency import source_and_target, to_edge_index
from pyg_irllrec.utils.checks import check_choice, check_matrix
from pyg_irllrec.utils.graph_cache import GraphCache


class IntentLGConv(MessagePassing):
    r"""The intent-aware light graph convolution from the `"Intent Representation
    Learning with Large Language Model for Recommendation"
    <https://arxiv.org/abs/2502.03307>`_ paper: a mean over neighbours in which
    those of like intent weigh more.

    .. math::
        \mathbf{x}^{\prime}_i = \frac{\sum_{j \in \mathcal{N}(i)} w_{ji}
        \alpha_{ij} \mathbf{x}_j}{\sum_{j \in \mathcal{N}(i)} w_{ji}
        \alpha_{ij}}, \qquad
        \alpha_{ij} = \frac{\cos(\mathbf{h}_i, \mathbf{h}_j) + 1}{2}

    Whatever its format, an adjacency is sorted and transposed in the first call that
    sees it; calls with the same object find that ready and copy nothing.

    It has no parameters and goes where :class:`~torch_geometric.nn.LGConv` goes.
    It normalises by itself: pass a plain graph, without the weights of
    :func:`~torch_geometric.nn.conv.gcn_conv.gcn_norm`. In the paper
    :math:`w_{ji} = 1`.

    Args:
        impl (str): The implementation, see
            :func:`~pyg_irllrec.functional.intent_propagate`.
            (default: :obj:`"auto"`)
        **kwargs (optional): Additional arguments of
            :class:`~torch_geometric.nn.conv.MessagePassing`.

    Shapes:
        - **input:** node features :math:`(|\mathcal{V}|, F)`,
          edges (any PyG adjacency, sparse ones transposed),
          edge weights :math:`(|\mathcal{E}|)` *(optional)*,
          node intents :math:`(|\mathcal{V}|, F')` *(optional)*
        - **output:** node features :math:`(|\mathcal{V}|, F)`
    """

    def __init__(self, impl: str = 'auto', **kwargs: Any) -> None:
        kwargs.setdefault('aggr', 'add')
        check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
        super().__init__(**kwargs)
        if self.aggr != 'add' or self.flow != 'source_to_target':
            raise ValueError(
                "'IntentLGConv' needs aggr='add' and flow='source_to_target', got "
                f'aggr={self.aggr!r} and flow={self.flow!r}'
            )
        self.impl = impl
        self._graph = GraphCache()

    def forward(
        self,
        x: Tensor,
        edge_index: Adj,
        edge_weight: Optional[Tensor] = None,
        intent: Optional[Tensor] = None,
    ) -> Tensor:
        r"""Runs the layer. Without :obj:`intent`, nodes weigh each other by their
        features."""
        intent = x if intent is None else intent
        if not self.explain:
            if self.impl != 'eager' and not torch.compiler.is_compiling():
                check_matrix('x', x)
                edge_index, edge_weight = self._graph.sort(
                    edge_index, edge_weight, x.size(0)
                )
            return intent_propagate(x, intent, edge_index, edge_weight, impl=self.impl)

        # An explainer masks messages, so that it has to see every one of them.
        edge_index, edge_weight = to_edge_index(edge_index, edge_weight)
        source, target = source_and_target(edge_index)
        alpha = intent_attention(intent, source, target, edge_weight).to(x.dtype)
        # propagate_type: (x: Tensor, alpha: Tensor)
        out: Tensor = self.propagate(edge_index, x=x, alpha=alpha)
        return out

    def message(self, x_j: Tensor, alpha: Tensor) -> Tensor:  # noqa: D102
        return alpha.unsqueeze(-1) * x_j
