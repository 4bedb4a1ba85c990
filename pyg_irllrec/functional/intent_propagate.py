from __future__ import annotations

import math
from typing import Optional

import torch
from torch import Tensor
from torch_geometric.typing import Adj

from pyg_irllrec.functional._kernels.intent_propagate_eager import (
    intent_propagate_eager,
)
from pyg_irllrec.functional._kernels.intent_propagate_fused import (
    intent_propagate_fused,
)
from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.checks import check_choice, check_matrix
from pyg_irllrec.utils.graph_cache import Graph, prepare_graph

IMPLEMENTATIONS = ('eager', 'csr', 'triton')


def intent_propagate(
    x: Tensor,
    intent: Tensor,
    adj: Adj,
    edge_weight: Optional[Tensor] = None,
    *,
    impl: str = 'auto',
) -> Tensor:
    r"""The intent-aware mean over neighbours of the `"Intent Representation Learning
    with Large Language Model for Recommendation" <https://arxiv.org/abs/2502.03307>`_
    paper (the graph convolution of its interaction tower):

    .. math::
        \mathbf{s}_i = \frac{\sum_{j \in \mathcal{N}(i)} w_{ji} \alpha_{ij}
        \mathbf{x}_j}{\sum_{j \in \mathcal{N}(i)} w_{ji} \alpha_{ij}}, \qquad
        \alpha_{ij} = \frac{\cos(\mathbf{h}_i, \mathbf{h}_j) + 1}{2}

    A node without edges gets zeros. In the paper, all weights :math:`w` are 1.

    Args:
        x (torch.Tensor): The node features to average.
        intent (torch.Tensor): The intents :math:`\mathbf{h}`, which weight the edges.
        adj (torch.Tensor or SparseTensor): Any PyG adjacency. Sparse matrices are
            transposed (:obj:`adj_t`), and their values are :math:`w`.
        edge_weight (torch.Tensor, optional): The weights :math:`w` of an
            :obj:`edge_index`, of shape :math:`(|\mathcal{E}|)`.
            (default: :obj:`None`, all 1)
        impl (str): The implementation. (default: :obj:`"auto"`)

            - :obj:`"eager"` gathers :math:`|\mathcal{E}| \times F` values, and has
              derivatives of every order. The others have first derivatives only, and
              raise an error for second derivatives.
            - :obj:`"csr"` uses sparse products, on every device, in
              :math:`O(|\mathcal{E}| + |\mathcal{V}| F)` memory. They need edges sorted
              by target: the first call with an adjacency sorts them, and the result is
              cached with the adjacency until its values change.
            - :obj:`"triton"` is the same in fused CUDA kernels, for rows of at most 512
              values (extra :obj:`triton`).
            - :obj:`"auto"` is :obj:`"triton"` where available, else :obj:`"csr"`. A
              compiled call cannot sort: it uses :obj:`"eager"`, unless :obj:`adj` is an
              :class:`~torch_geometric.EdgeIndex` that is sorted by target and has its
              cache filled. It raises an error if that has been changed since.

    Shapes:
        - **x:** :math:`(|\mathcal{V}|, F)`
        - **intent:** :math:`(|\mathcal{V}|, F')`
        - **output:** :math:`(|\mathcal{V}|, F)`

    Raises:
        ValueError: If an argument has an invalid shape, dtype or value.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import intent_propagate
        >>> x = torch.tensor([[1.0], [2.0], [4.0]])
        >>> intent = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> edge_index = torch.tensor([[0, 2], [1, 1]])
        >>> intent_propagate(x, intent, edge_index)  # (1 * 1 + 0.5 * 4) / 1.5
        tensor([[0.],
                [2.],
                [0.]])
    """
    check_matrix('x', x, may_be_empty=True)
    check_matrix('intent', intent, may_be_empty=True)
    if intent.size(0) != x.size(0):
        raise ValueError(
            f"'intent' must have one row per node, {x.size(0)}, got {intent.size(0)}"
        )
    check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
    graph, edge_weight = prepare_graph(adj, edge_weight, x.size(0), impl)
    return unchecked_intent_propagate(x, intent, graph, edge_weight, impl)


def unchecked_intent_propagate(
    x: Tensor,
    intent: Tensor,
    graph: Graph,
    edge_weight: Optional[Tensor],
    impl: str,
) -> Tensor:
    r"""The same on a prepared graph, without checks."""
    if edge_weight is not None and edge_weight.numel() > 0:
        # The scale of the weights cancels out, and a sum of huge weights overflows.
        edge_weight = edge_weight.to(
            torch.promote_types(edge_weight.dtype, torch.float32)
        )
        peak = torch.linalg.vector_norm(edge_weight.detach(), math.inf)
        edge_weight = edge_weight / peak.where(peak != 0, 1)
    if graph.csr is None:
        ends = source_and_target(graph.edge_index)
        return intent_propagate_eager(x, intent, *ends, edge_weight)
    wide = x if x.dtype.itemsize >= 4 else x.float()  # Long sums need float32.
    with torch.autocast(x.device.type, enabled=False):
        if edge_weight is not None:
            edge_weight = edge_weight.to(wide.dtype).contiguous()
        out: Tensor
        out, *_ = intent_propagate_fused(
            wide.contiguous(),
            intent.to(wide.dtype).contiguous(),
            *graph.csr,
            edge_weight,
            impl,
            graph.is_undirected and edge_weight is None,
        )
    return out.to(x.dtype)
