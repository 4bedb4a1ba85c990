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
    \mathcal{N}(i)} w_{ji} \mathbf{x}_j`, the layer of the `"LightGCN"
    <https://arxiv.org/abs/2002.02126>`_ paper (Equation 3) once :math:`w` holds
    the symmetric normalisation.

    Args:
        x (torch.Tensor): Node features of shape :math:`(|\mathcal{V}|, F)`.
        adj (torch.Tensor or SparseTensor): Any PyG adjacency; sparse matrices
            are transposed (:obj:`adj_t`) and carry :math:`w` as values.
        edge_weight (torch.Tensor, optional): :math:`w` beside an
            :obj:`edge_index`; one where it is missing. (default: :obj:`None`)
        impl (str): The implementation. (default: :obj:`"auto"`)

            - :obj:`"eager"` gathers :math:`|\mathcal{E}| \times F` values, and has
              derivatives of every order; the other has first ones only.
            - :obj:`"csr"` is a sparse product, forward and backward, in
              :math:`O(|\mathcal{E}| + |\mathcal{V}| F)` memory. The first call with an
              adjacency sorts, and the adjacency keeps what is needed as long as it is
              not changed, see :func:`~pyg_irllrec.functional.intent_propagate`.
            - :obj:`"triton"` is the same: torch's product is as fast.
            - :obj:`"auto"` is :obj:`"csr"`, but for a compiled call with edges that are
              not sorted.

    Raises:
        ValueError: If a shape, dtype, id or option is not as above.
    """
    check_matrix('x', x, may_be_empty=True)
    check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
    graph, edge_weight = prepare_graph(adj, edge_weight, x.size(0), impl)
    return unchecked_propagate(x, graph, edge_weight)


def unchecked_propagate(
    x: Tensor, graph: Graph, edge_weight: Optional[Tensor]
) -> Tensor:
    r"""The same on a prepared graph, for callers that have checked their input."""
    wide = x if x.dtype.itemsize >= 4 else x.float()  # Sums over many edges need it.
    if edge_weight is not None:
        edge_weight = edge_weight.to(wide.dtype).contiguous()
    if graph.csr is not None:
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = propagate_csr(wide.contiguous(), edge_weight, *graph.csr)
        return out.to(x.dtype)
    source, target = source_and_target(graph.edge_index)
    message = wide.index_select(0, source)  # Unlike wide[source] it refuses -1.
    if edge_weight is not None:
        message = message * edge_weight.unsqueeze(-1)
    return torch.zeros_like(wide).index_add(0, target, message).to(x.dtype)
