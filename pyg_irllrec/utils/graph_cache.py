"""The sorted form of an adjacency, made once and kept by the adjacency itself."""

from __future__ import annotations

from typing import NamedTuple, Optional, Union

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj, SparseTensor
from torch_geometric.utils import is_torch_sparse_tensor as is_sparse

from pyg_irllrec.utils.adjacency import (
    CSR,
    check_edge_index,
    check_node_ids,
    csr,
    is_cached,
    is_sorted_by_target,
    narrow_ids,
    sort_by_target,
    source_and_target,
    to_edge_index,
)

NAME = '_pyg_irllrec_graph'


class Graph(NamedTuple):
    r"""An adjacency as the layers read it."""

    edge_index: Tensor
    """The edges; sorted by target where there is a :obj:`csr`."""
    csr: Optional[CSR]
    """What sparse products need, or :obj:`None` where edges have to be gathered."""
    is_undirected: bool
    """Whether every edge is known to have its reverse."""


class CachedGraph(NamedTuple):
    r"""What an adjacency keeps. It is written as a whole and never changed, so that
    threads need no lock."""

    size: tuple[int, Optional[int]]
    seen: tuple[Union[Tensor, tuple[object, ...]], ...]
    graph: Graph
    order: Optional[Tensor]

    def __reduce__(self) -> tuple[type[set[object]], tuple[()]]:
        # A copy, or a file, of the adjacency starts without; torch.load takes a set.
        return set, ()


def prepare_graph(
    adj: Adj,
    edge_weight: Optional[Tensor],
    num_nodes: int,
    impl: str = 'auto',
    num_targets: Optional[int] = None,
) -> tuple[Graph, Optional[Tensor]]:
    r"""Any adjacency in the form in which products with it are fast, and its weights
    in the same order.

    The first call sorts. What it makes is kept as an attribute of :obj:`adj`, so that
    the next call with the same object finds it, whichever layer makes it. On a CPU the
    edges are compared with those that were sorted, whatever has changed them; on other
    devices their version counters are, and nothing is kept of tensors of inference
    mode, which have none. An :class:`~torch_geometric.EdgeIndex` of 32-bit ids that is
    sorted by target and whose cache is filled, as models hold it, is taken as it is.

    Args:
        adj (torch.Tensor or SparseTensor): Any PyG adjacency.
        edge_weight (torch.Tensor, optional): Weights beside an :obj:`edge_index`.
        num_nodes (int): The number of nodes, in a bipartite graph of sources.
        impl (str): With :obj:`"eager"` nothing is sorted, with :obj:`"auto"` nothing
            in a compiled call. (default: :obj:`"auto"`)
        num_targets (int, optional): The number of targets in a bipartite graph, which
            becomes a square one: sources first, then targets. (default: :obj:`None`)

    Raises:
        ValueError: If the adjacency, its weights or its size do not fit.
    """
    if (
        isinstance(adj, EdgeIndex)
        and adj.is_sorted_by_col
        and adj._sparse_size == (num_nodes, num_nodes)
        and adj._indptr is not None
        and adj._T_perm is not None
        and (adj.dtype is torch.int32 or adj.size(1) >= 2**31)
        and num_targets is None
        and impl != 'eager'
    ):
        if edge_weight is not None and edge_weight.shape != adj.shape[1:]:
            check_edge_index(adj, edge_weight)
        return Graph(adj, csr(adj), adj.is_undirected), edge_weight

    compiling = torch.compiler.is_compiling()
    if impl == 'eager' or compiling:
        edge_index, edge_weight = to_edge_index(adj, edge_weight)
        if num_targets is not None:
            edge_index, num_nodes = _as_square(edge_index, num_nodes, num_targets)
        # Sorting depends on data, which a compiled graph cannot look at.
        ready = is_sorted_by_target(edge_index, num_nodes) and is_cached(edge_index)
        if impl == 'eager' or (impl == 'auto' and not ready):
            return Graph(edge_index, None, False), edge_weight
        made, order = sort_by_target(edge_index, num_nodes)
        if edge_weight is not None and order is not None:
            edge_weight = edge_weight[order]
        return Graph(made, csr(made), made.is_undirected), edge_weight

    is_matrix = isinstance(adj, SparseTensor) or is_sparse(adj)
    if is_matrix:
        edge_weight = _values(adj, edge_weight)
    else:
        check_edge_index(adj, edge_weight)
    size = (num_nodes, num_targets)
    structure = _structure(adj)
    cached = adj.__dict__.get(NAME)
    if not isinstance(cached, CachedGraph):
        cached = _sort(adj, structure, size)
    elif not _is_unchanged(cached.seen, structure):
        cached = _sort(adj, structure, size, is_changed=True)
    elif cached.size != size:
        cached = _sort(adj, structure, size)
    if edge_weight is not None and cached.order is not None:
        edge_weight = edge_weight[cached.order]
    return cached.graph, edge_weight


def check_size(
    adj: Adj, edge_index: Tensor, num_sources: int, num_targets: Optional[int]
) -> None:
    r"""Raises a :class:`ValueError` where an adjacency has another size of its own."""
    if num_targets is None:
        num_targets = num_sources
    own: tuple[Optional[int], Optional[int]] = (None, None)
    if isinstance(adj, SparseTensor) or is_sparse(adj):
        own = adj.size(1), adj.size(0)
    elif isinstance(edge_index, EdgeIndex):
        own = edge_index.sparse_size()
    expected = (num_sources, num_targets)
    if any(a is not None and a != b for a, b in zip(own, expected, strict=True)):
        raise ValueError(
            f"'edge_index' must have a row per source and a column per target, "
            f'{expected} (a sparse matrix the transpose), got {own}'
        )


def _sort(
    adj: Adj,
    structure: tuple[Tensor, ...],
    size: tuple[int, Optional[int]],
    is_changed: bool = False,
) -> CachedGraph:
    seen = _remember(structure)  # First: what changes meanwhile is seen as changed.
    num_nodes, num_targets = size
    # Made while nothing is trained, it may still be trained on later.
    with torch.inference_mode(False):
        edge_index, _ = to_edge_index(adj)
        check_size(adj, edge_index, num_nodes, num_targets)
        if is_changed and isinstance(adj, EdgeIndex):
            edge_index = structure[0]  # It may not be sorted any more.
        if num_targets is not None:
            edge_index, num_nodes = _as_square(edge_index, num_nodes, num_targets)
        made, order = sort_by_target(edge_index, num_nodes)
        made = narrow_ids(made)
        graph = Graph(made, csr(made), made.is_undirected)
    cached = CachedGraph(size, seen, graph, order)
    # An adjacency that held itself would be freed late.
    if seen and made is not adj:
        setattr(adj, NAME, cached)
    return cached


def _structure(adj: Adj) -> tuple[Tensor, ...]:
    r"""The tensors that hold the edges."""
    if isinstance(adj, SparseTensor):
        return adj.storage.rowptr(), adj.storage.col()
    if isinstance(adj, EdgeIndex):
        return (adj.as_tensor(),)
    if adj.layout is torch.sparse_coo:
        return (adj._indices(),)
    if adj.layout is torch.sparse_csr:
        return adj.crow_indices(), adj.col_indices()
    if adj.layout is torch.sparse_csc:
        return adj.ccol_indices(), adj.row_indices()
    return (adj,)


def _remember(
    structure: tuple[Tensor, ...],
) -> tuple[Union[Tensor, tuple[object, ...]], ...]:
    r"""Whatever shows a later change of these tensors; nothing where none would be
    seen."""
    if all(value.is_cpu for value in structure):
        return tuple(value.detach().clone() for value in structure)
    if any(value.is_inference() for value in structure):
        return ()
    return tuple(_version(value) for value in structure)


def _is_unchanged(
    seen: tuple[Union[Tensor, tuple[object, ...]], ...], structure: tuple[Tensor, ...]
) -> bool:
    for before, now in zip(seen, structure, strict=True):
        if not isinstance(before, Tensor):
            if now.is_inference() or before != _version(now):
                return False
        elif not now.is_cpu or before.dtype != now.dtype or not before.equal(now):
            return False
    return True


def _version(value: Tensor) -> tuple[object, ...]:
    return value.device, value.shape, value.data_ptr(), value._version


def _values(adj: Adj, edge_weight: Optional[Tensor]) -> Optional[Tensor]:
    r"""The values of a sparse matrix in the order of its edges, without a look at
    its indices where they need none."""
    if edge_weight is not None or (
        isinstance(adj, Tensor)
        and adj.layout is torch.sparse_coo
        and not adj.is_coalesced()
    ):
        return to_edge_index(adj, edge_weight)[1]
    if isinstance(adj, SparseTensor):
        value: Optional[Tensor] = adj.storage.value()
    else:
        value = adj.values()
    return value


def _as_square(
    edge_index: Tensor, num_sources: int, num_targets: int
) -> tuple[Tensor, int]:
    r"""A bipartite graph as a square one, targets behind sources, and its number of
    nodes."""
    source, target = source_and_target(edge_index)
    if not torch.compiler.is_compiling():
        check_node_ids(source, num_sources, 'edge_index[0] (sources)')
        check_node_ids(target, num_targets, 'edge_index[1] (targets)')
    out = torch.stack([source.long(), target.long() + num_sources])
    return out, num_sources + num_targets
