from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from pyg_irllrec.utils.adjacency import CSR


def checked_csr(edge_index: EdgeIndex, num_nodes: int) -> CSR:
    r"""The arrays of an :class:`~torch_geometric.EdgeIndex` that is sorted by target
    and keeps its permutation, for a compiled graph: it keeps nothing between calls, so
    that every call looks whether the edges are still those that were sorted.

    Raises:
        ValueError: If they are not (on a CPU, when the compiled graph runs; on other
            devices an assertion fails).
    """
    t_perm = edge_index._T_perm
    assert t_perm is not None
    edges = edge_index.as_tensor()
    rowptr, t_rowptr, t_col = _pointers(
        edges, t_perm, num_nodes, edge_index.is_undirected
    )
    return CSR(rowptr, edges[0], t_rowptr, t_col, t_perm)


@torch.library.custom_op('pyg_irllrec::pointers', mutates_args=())
def _pointers(
    edges: Tensor, t_perm: Tensor, num_nodes: int, is_undirected: bool
) -> tuple[Tensor, Tensor, Tensor]:
    source, target = edges
    t_source, t_target = source[t_perm], target[t_perm]
    is_same = _is_sorted(target, num_nodes) & _is_sorted(t_source, num_nodes)
    if not edges.is_cpu:
        torch._assert_async(is_same)
    elif not is_same or (
        is_undirected and not _is_symmetric(edges, t_source, t_target)
    ):
        raise ValueError(
            "'edge_index' must be an EdgeIndex as it was sorted, got one that has "
            'changed since: build it anew from edge_index.as_tensor().clone()'
        )
    rowptr, t_rowptr = (
        torch._convert_indices_from_coo_to_csr(
            index, num_nodes, out_int32=index.dtype == torch.int32
        )
        for index in (target, t_source)
    )
    return rowptr, t_rowptr, t_target


@_pointers.register_fake
def _(edges, t_perm, num_nodes, is_undirected):  # type: ignore[no-untyped-def]
    rowptr = edges.new_empty(num_nodes + 1)
    return rowptr, torch.empty_like(rowptr), edges.new_empty(edges.size(1))


def _is_sorted(index: Tensor, num_nodes: int) -> Tensor:
    inside = (index[:1] >= 0).all() & (index[-1:] < num_nodes).all()
    return inside & (index[1:] >= index[:-1]).all()


def _is_symmetric(edges: Tensor, t_source: Tensor, t_target: Tensor) -> bool:
    source, target = edges
    if torch.equal(target, t_source) and torch.equal(source, t_target):
        return True
    # The neighbours of a node may stand in any order.
    most = int(edges.max()) + 1
    key, reverse = (
        (a.long() * most + b).sort().values for a, b in ((target, source), edges)
    )
    return torch.equal(key, reverse)
