from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj

from pyg_irllrec.functional._kernels.propagate_csr import propagate_csr
from pyg_irllrec.functional._precision import at_least_float32
from pyg_irllrec.utils.adjacency import (
    csr,
    is_cached,
    is_sorted_by_target,
    source_and_target,
    to_edge_index,
)
from pyg_irllrec.utils.checks import check_matrix


def propagate(x: Tensor, adj: Adj, edge_weight: Optional[Tensor] = None) -> Tensor:
    r"""The weighted sum over neighbours, :math:`\mathbf{y}_i = \sum_{j \in
    \mathcal{N}(i)} w_{ji} \mathbf{x}_j`, the layer of the `"LightGCN"
    <https://arxiv.org/abs/2002.02126>`_ paper (Equation 3) once :math:`w` holds
    the symmetric normalisation.

    An :class:`~torch_geometric.EdgeIndex` sorted by target, with both sizes,
    multiplies as a sparse matrix, forward and backward, in
    :math:`O(|\mathcal{E}| + |\mathcal{V}| F)` memory, and has first derivatives; a
    plain :obj:`edge_index` gathers :math:`|\mathcal{E}| \times F` values.

    Args:
        x (torch.Tensor): Node features of shape :math:`(|\mathcal{V}|, F)`.
        adj (torch.Tensor or SparseTensor): Any PyG adjacency; sparse matrices
            are transposed (:obj:`adj_t`) and carry :math:`w` as values.
        edge_weight (torch.Tensor, optional): :math:`w` beside an
            :obj:`edge_index`; one where it is missing. (default: :obj:`None`)
    """
    check_matrix('x', x)
    edge_index, edge_weight = to_edge_index(adj, edge_weight)
    wide = at_least_float32(x)  # Sums over many edges need it.
    if edge_weight is not None:
        edge_weight = edge_weight.to(wide.dtype)
    if is_sorted_by_target(edge_index, x.size(0)):
        assert isinstance(edge_index, EdgeIndex)
        # Transposing depends on data, which a compiled graph cannot look at.
        if is_cached(edge_index) or not torch.compiler.is_compiling():
            with torch.autocast(x.device.type, enabled=False):
                graph = csr(edge_index)
                if edge_weight is not None:
                    edge_weight = edge_weight.contiguous()
                out: Tensor = propagate_csr(wide.contiguous(), edge_weight, *graph)
            return out.to(x.dtype)
    source, target = source_and_target(edge_index)
    message = wide[source]
    if edge_weight is not None:
        message = message * edge_weight.unsqueeze(-1)
    return torch.zeros_like(wide).index_add(0, target, message).to(x.dtype)
