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
    r"""The intent-aware mean over neighbours, from the `"Intent Representation
    Learning with Large Language Model for Recommendation"
    <https://arxiv.org/abs/2502.03307>`_ paper (the intent-aware graph
    convolution of its interaction tower):

    .. math::
        \mathbf{s}_i = \frac{\sum_{j \in \mathcal{N}(i)} w_{ji} \alpha_{ij}
        \mathbf{x}_j}{\sum_{j \in \mathcal{N}(i)} w_{ji} \alpha_{ij}}, \qquad
        \alpha_{ij} = \frac{\cos(\mathbf{h}_i, \mathbf{h}_j) + 1}{2}

    A node without edges gets zeros. The paper has no :math:`w`: its weights are
    one.

    Args:
        x (torch.Tensor): What is averaged.
        intent (torch.Tensor): The intents :math:`\mathbf{h}` that weigh edges.
        adj (torch.Tensor or SparseTensor): Any PyG adjacency; sparse matrices
            are transposed (:obj:`adj_t`) and carry :math:`w` as values.
        edge_weight (torch.Tensor, optional): :math:`w` beside an
            :obj:`edge_index`. (default: :obj:`None`)
        impl (str): The implementation. (default: :obj:`"auto"`)

            - :obj:`"eager"` gathers :math:`|\mathcal{E}| \times F` values, and has
              derivatives of every order; the others have first ones only, and say so.
            - :obj:`"csr"` takes sparse products, on every device, in
              :math:`O(|\mathcal{E}| + |\mathcal{V}| F)` memory. They need edges sorted
              by target: the first call with an adjacency sorts, and the adjacency
              keeps what is needed as long as it is not changed.
            - :obj:`"triton"` is the same, fused, for CUDA and rows of at most 512
              values (extra :obj:`triton`).
            - :obj:`"auto"` is :obj:`"triton"` where that runs, else :obj:`"csr"`, but
              for a compiled call with edges that are not sorted: it sorts nothing, and
              takes an :class:`~torch_geometric.EdgeIndex` that is sorted by target and
              whose cache is filled. It refuses one that was changed since.

    Shapes:
        - **x:** :math:`(|\mathcal{V}|, F)`
        - **intent:** :math:`(|\mathcal{V}|, F')`
        - **output:** :math:`(|\mathcal{V}|, F)`

    Raises:
        ValueError: If a shape, dtype, id or option is not as above.
    """
    check_matrix('x', x, may_be_empty=True)
    check_matrix('intent', intent, may_be_empty=True)
    if intent.size(0) != x.size(0):
        raise ValueError(
            f"'intent' must have a row per node, {x.size(0)}, got {intent.size(0)}"
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
    r"""The same on a prepared graph, for callers that have checked their input."""
    if edge_weight is not None and edge_weight.numel() > 0:
        # Their scale is no matter, and the sum of huge ones is infinite.
        edge_weight = edge_weight.to(
            torch.promote_types(edge_weight.dtype, torch.float32)
        )
        peak = torch.linalg.vector_norm(edge_weight.detach(), math.inf)
        edge_weight = edge_weight / peak.where(peak != 0, 1)
    if graph.csr is None:
        ends = source_and_target(graph.edge_index)
        return intent_propagate_eager(x, intent, *ends, edge_weight)
    wide = x if x.dtype.itemsize >= 4 else x.float()  # Sums over many edges need it.
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
