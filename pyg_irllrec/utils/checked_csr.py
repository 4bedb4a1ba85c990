from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from pyg_irllrec.utils.adjacency import CSR


def checked_csr(edge_index: EdgeIndex) -> CSR:
    r"""The arrays of an :class:`~torch_geometric.EdgeIndex` that is sorted by target
    and has its pointers and its permutation cached, for compiled graphs. A compiled
    graph keeps no state, so every call checks that the edges are still sorted.

    Raises:
        ValueError: If the edges have changed (on a CPU, when the compiled graph runs;
            on other devices an assertion fails).
    """
    rowptr, t_perm = edge_index._indptr, edge_index._T_perm
    assert rowptr is not None and t_perm is not None
    edges = edge_index.as_tensor()
    t_rowptr, t_col = _transpose(edges, rowptr, t_perm, edge_index.is_undirected)
    return CSR(rowptr, edges[0], t_rowptr, t_col, t_perm)


@torch.library.custom_op('pyg_irllrec::transpose', mutates_args=())
def _transpose(
    edges: Tensor, rowptr: Tensor, t_perm: Tensor, is_undirected: bool
) -> tuple[Tensor, Tensor]:
    source, target = edges
    num_nodes, num_edges = rowptr.size(0) - 1, target.size(0)
    expected = torch.repeat_interleave(rowptr.diff(), output_size=num_edges)
    t_source = source.index_select(0, t_perm)
    t_target = target.index_select(0, t_perm)
    if is_undirected and edges.is_cpu and torch.equal(target, expected):
        # Usually the neighbours of a node are sorted too, which saves the checks below.
        if torch.equal(t_source, target) and torch.equal(t_target, source):
            return rowptr.clone(), t_target

    is_same = (target == expected).all() & (t_source[1:] >= t_source[:-1]).all()
    is_same &= (t_source[:1] >= 0).all() & (t_source[-1:] < num_nodes).all()
    if not edges.is_cpu:
        torch._assert_async(is_same)
    elif not is_same or (is_undirected and not _is_symmetric(edges, num_nodes)):
        raise ValueError(
            "'edge_index' must not change after it was sorted, got an EdgeIndex with "
            'changed edges: build a new one from edge_index.as_tensor().clone()'
        )
    t_rowptr = torch._convert_indices_from_coo_to_csr(
        t_source, num_nodes, out_int32=rowptr.dtype == torch.int32
    )
    return t_rowptr, t_target


@_transpose.register_fake
def _(edges, rowptr, t_perm, is_undirected):  # type: ignore[no-untyped-def]
    return torch.empty_like(rowptr), edges.new_empty(edges.size(1))


def _is_symmetric(edges: Tensor, num_nodes: int) -> bool:
    source, target = edges.long()
    key, reverse = target * num_nodes + source, source * num_nodes + target
    return torch.equal(key.sort().values, reverse.sort().values)
