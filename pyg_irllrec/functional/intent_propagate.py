from __future__ import annotations

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
from pyg_irllrec.utils.adjacency import (
    is_cached,
    is_sorted_by_target,
    sort_by_target,
    source_and_target,
    to_edge_index,
)
from pyg_irllrec.utils.checks import check_choice, check_matrix

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
              by target: other formats are sorted in every call, an
              :class:`~torch_geometric.EdgeIndex` that is sorted, and has both sizes,
              keeps what it needs. One that calls itself undirected is believed.
            - :obj:`"triton"` is the same, fused, for CUDA (extra :obj:`triton`).
            - :obj:`"auto"` is :obj:`"csr"`, but for a compiled call with edges that are
              not sorted.

    Shapes:
        - **x:** :math:`(|\mathcal{V}|, F)`
        - **intent:** :math:`(|\mathcal{V}|, F')`
        - **output:** :math:`(|\mathcal{V}|, F)`

    Raises:
        ValueError: If a shape, dtype, id or option is not as above.
    """
    check_matrix('x', x)
    check_matrix('intent', intent)
    if intent.size(0) != x.size(0):
        raise ValueError(
            f"'intent' must have a row a node, {x.size(0)}, got {intent.size(0)}"
        )
    check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
    edge_index, edge_weight = to_edge_index(adj, edge_weight)
    if impl == 'auto':
        # Sorting depends on data, which a compiled graph cannot look at.
        ready = is_sorted_by_target(edge_index, x.size(0)) and is_cached(edge_index)
        impl = 'csr' if ready or not torch.compiler.is_compiling() else 'eager'
    if impl == 'eager':
        return intent_propagate_eager(
            x, intent, *source_and_target(edge_index), edge_weight
        )
    graph, order = sort_by_target(edge_index, x.size(0))
    if edge_weight is not None and order is not None:
        edge_weight = edge_weight[order]
    return intent_propagate_fused(x, intent, graph, edge_weight, impl)
