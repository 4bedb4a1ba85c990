from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch_geometric.typing import Adj

from pyg_irllrec.functional._kernels.propagate_csr import propagate_csr
from pyg_irllrec.functional.intent_propagate import IMPLEMENTATIONS
from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.checks import check_choice, check_matrix
from pyg_irllrec.utils.graph_cache import Graph, prepare_graph


def propagate(
    x: Tensor, adj: Adj, edge_weight: Optional[Tensor] = None, *, impl: str = 'auto'
) -> Tensor:
    r"""The weighted sum over neighbours, :math:`\mathbf{y}_i = \sum_{j \in
    \mathcal{N}(i)} w_{ji} \mathbf{x}_j`. With symmetric normalisation as
    :math:`w` it is the layer of the `"LightGCN" <https://arxiv.org/abs/2002.02126>`_
    paper (Equation 3).

    Args:
        x (torch.Tensor): Node features of shape :math:`(|\mathcal{V}|, F)`.
        adj (torch.Tensor or SparseTensor): Any PyG adjacency. Sparse matrices are
            transposed (:obj:`adj_t`), and their values are :math:`w`.
        edge_weight (torch.Tensor, optional): The weights :math:`w` of an
            :obj:`edge_index`, of shape :math:`(|\mathcal{E}|)`.
            (default: :obj:`None`, all 1)
        impl (str): The implementation. (default: :obj:`"auto"`)

            - :obj:`"eager"` gathers :math:`|\mathcal{E}| \times F` values, and has
              derivatives of every order. The others have first derivatives only.
            - :obj:`"csr"` is a sparse product, forward and backward, in
              :math:`O(|\mathcal{E}| + |\mathcal{V}| F)` memory. The first call with an
              adjacency sorts its edges and caches the result, as in
              :func:`~pyg_irllrec.functional.intent_propagate`.
            - :obj:`"triton"` is the same as :obj:`"csr"`: torch's product is as fast.
            - :obj:`"auto"` is :obj:`"csr"`, or :obj:`"eager"` in a compiled call with
              unsorted edges.

    Raises:
        ValueError: If an argument has an invalid shape, dtype or value.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import propagate
        >>> x = torch.tensor([[1.0], [2.0], [4.0]])
        >>> edge_index = torch.tensor([[0, 2], [1, 1]])
        >>> propagate(x, edge_index, edge_weight=torch.tensor([1.0, 0.5]))
        tensor([[0.],
                [3.],
                [0.]])
    """
    check_matrix('x', x, may_be_empty=True)
    check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
    graph, edge_weight = prepare_graph(adj, edge_weight, x.size(0), impl)
    return unchecked_propagate(x, graph, edge_weight)


def unchecked_propagate(
    x: Tensor, graph: Graph, edge_weight: Optional[Tensor]
) -> Tensor:
    r"""The same on a prepared graph, without checks."""
    wide = x if x.dtype.itemsize >= 4 else x.float()  # Long sums need float32.
    if edge_weight is not None:
        edge_weight = edge_weight.to(wide.dtype).contiguous()
    if graph.csr is not None:
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = propagate_csr(wide.contiguous(), edge_weight, *graph.csr)
        return out.to(x.dtype)
    source, target = source_and_target(graph.edge_index)
    message = wide.index_select(0, source)  # Unlike wide[source], it rejects -1.
    if edge_weight is not None:
        message = message * edge_weight.unsqueeze(-1)
    return torch.zeros_like(wide).index_add(0, target, message).to(x.dtype)
