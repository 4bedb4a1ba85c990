r"""The sorted form of an adjacency, computed once and cached on the adjacency."""

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
    check_values,
    csr,
    narrow_ids,
    sort_by_target,
    source_and_target,
    to_edge_index,
)
from pyg_irllrec.utils.checked_csr import checked_csr

NAME = '_pyg_irllrec_graph'


class Graph(NamedTuple):
    r"""An adjacency in the form that layers use."""

    edge_index: Tensor
    """The edges, sorted by target if there is a :obj:`csr`."""
    csr: Optional[CSR]
    """The arrays for sparse products, or :obj:`None` if layers must gather edges."""
    is_undirected: bool
    """Whether every edge is known to have its reverse."""


class OwnGraph(NamedTuple):
    r"""The cache of the edges of :func:`sorted_graph`, which never change and need no
    comparison. It has no reference to the edges: a cycle would free them late."""

    csr: CSR
    is_undirected: bool

    def __reduce__(self) -> tuple[type[set[object]], tuple[()]]:
        return set, ()  # See CachedGraph.


class CachedGraph(NamedTuple):
    r"""The cache of any other adjacency. It is replaced as a whole and never modified,
    so that threads need no lock."""

    key: tuple[object, ...]
    seen: tuple[Union[Tensor, tuple[object, ...]], ...]
    graph: Graph
    order: Optional[Tensor]

    def __reduce__(self) -> tuple[type[set[object]], tuple[()]]:
        # Copies and files of the adjacency have no cache. torch.load allows a set.
        return set, ()


def prepare_graph(
    adj: Adj,
    edge_weight: Optional[Tensor],
    num_nodes: int,
    impl: str = 'auto',
    num_targets: Optional[int] = None,
) -> tuple[Graph, Optional[Tensor]]:
    r"""Convert any adjacency to the form in which sparse products are fast, and put its
    weights in the same order.

    The first call sorts the edges and stores the result as an attribute of :obj:`adj`,
    so that later calls with the same object, from any layer, reuse it. On a CPU, each
    call compares the edges with those that were sorted. On other devices it compares
    their version counters, and does not cache tensors of inference mode, which have no
    counter. Only graphs from :func:`sorted_graph` are trusted without comparison. A
    compiled call caches nothing: it uses and checks an
    :class:`~torch_geometric.EdgeIndex` that is sorted and has its cache filled.

    Args:
        adj (torch.Tensor or SparseTensor): Any PyG adjacency.
        edge_weight (torch.Tensor, optional): The weights of an :obj:`edge_index`.
        num_nodes (int): The number of nodes, or of sources in a bipartite graph.
        impl (str): :obj:`"eager"` never sorts, and :obj:`"auto"` does not sort in a
            compiled call. (default: :obj:`"auto"`)
        num_targets (int, optional): The number of targets in a bipartite graph, which
            is converted to a square graph: sources first, then targets.
            (default: :obj:`None`)

    Raises:
        ValueError: If the adjacency, its weights or its size are invalid.
    """
    if impl == 'eager' or torch.compiler.is_compiling():
        return _uncached_graph(adj, edge_weight, num_nodes, impl, num_targets)

    kept = getattr(adj, NAME, None)
    if (
        isinstance(kept, OwnGraph)
        and isinstance(adj, EdgeIndex)
        and adj._sparse_size == (num_nodes, num_nodes)
        and num_targets is None
    ):
        if edge_weight is not None and not (
            isinstance(edge_weight, Tensor) and edge_weight.shape == adj.shape[1:]
        ):
            check_edge_index(adj, edge_weight)
        return Graph(adj, *kept), edge_weight

    is_matrix = isinstance(adj, SparseTensor) or is_sparse(adj)
    if is_matrix:
        edge_weight = _values(adj, edge_weight)
    else:
        check_edge_index(adj, edge_weight)
    structure = _structure(adj)
    key = (num_nodes, num_targets, *_own_key(adj))
    if not (
        isinstance(kept, CachedGraph)
        and kept.key == key
        and _is_unchanged(kept.seen, structure)
    ):
        kept = _sort(adj, structure, key, num_nodes, num_targets)
    if edge_weight is not None and kept.order is not None:
        edge_weight = edge_weight[kept.order]
    return kept.graph, edge_weight


def sorted_graph(
    edge_index: Tensor, num_nodes: int
) -> tuple[EdgeIndex, Optional[Tensor]]:
    r"""A sorted copy of the edges that :func:`prepare_graph` uses without checks, and
    the order to apply to weights (:obj:`None` if the edges were sorted already). Never
    change the copy in place."""
    made, order = sort_by_target(edge_index, num_nodes)
    made = narrow_ids(made)
    setattr(made, NAME, OwnGraph(csr(made), made.is_undirected))
    return made, order


def _uncached_graph(
    adj: Adj,
    edge_weight: Optional[Tensor],
    num_nodes: int,
    impl: str,
    num_targets: Optional[int],
) -> tuple[Graph, Optional[Tensor]]:
    edge_index, edge_weight = read_edges(adj, edge_weight, num_nodes, num_targets)
    if num_targets is not None:
        edge_index, num_nodes = _as_square(edge_index, num_nodes, num_targets)
    if impl == 'eager':
        return Graph(edge_index, None, False), edge_weight
    if (
        isinstance(edge_index, EdgeIndex)
        and edge_index.is_sorted_by_col
        and edge_index.sparse_size() == (num_nodes, num_nodes)
        and edge_index._indptr is not None
        and edge_index._T_perm is not None
    ):
        # On other devices nothing checks whether it is still undirected.
        is_undirected = edge_index.is_undirected and edge_index.is_cpu
        return Graph(edge_index, checked_csr(edge_index), is_undirected), edge_weight
    if impl == 'auto':  # A compiled graph cannot sort: the result depends on the data.
        return Graph(edge_index, None, False), edge_weight
    made, order = sort_by_target(edge_index, num_nodes)
    if edge_weight is not None and order is not None:
        edge_weight = edge_weight[order]
    return Graph(made, csr(made), made.is_undirected), edge_weight


def read_edges(
    adj: Adj,
    edge_weight: Optional[Tensor],
    num_sources: int,
    num_targets: Optional[int] = None,
) -> tuple[Tensor, Optional[Tensor]]:
    r"""The edges and weights of any adjacency, in its own order.

    Raises:
        ValueError: If its size or its weights are invalid or, on a CPU, an id is out of
            range.
    """
    edge_index, edge_weight = to_edge_index(adj, edge_weight)
    check_size(adj, edge_index, num_sources, num_targets)
    if edge_index.is_cpu and not torch.compiler.is_compiling():
        _check_ends(edge_index, num_sources, num_targets)
    return edge_index, edge_weight


def _check_ends(
    edge_index: Tensor, num_sources: int, num_targets: Optional[int]
) -> None:
    if num_targets is None:
        check_node_ids(edge_index, num_sources)
        return
    source, target = source_and_target(edge_index)
    check_node_ids(source, num_sources, 'edge_index[0] (sources)')
    check_node_ids(target, num_targets, 'edge_index[1] (targets)')


def check_size(
    adj: Adj, edge_index: Tensor, num_sources: int, num_targets: Optional[int]
) -> None:
    r"""Raise a :class:`ValueError` if the size of the adjacency differs from the
    numbers of nodes."""
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
            f'{expected} (transposed if it is a sparse matrix), got {own}'
        )


def _sort(
    adj: Adj,
    structure: tuple[Tensor, ...],
    key: tuple[object, ...],
    num_nodes: int,
    num_targets: Optional[int],
) -> CachedGraph:
    seen = _remember(structure)  # First, so that a change during the sort is noticed.
    # A cache that is built in inference mode must also work in training later.
    with torch.inference_mode(False):
        edge_index = _edges(adj)
        check_size(adj, edge_index, num_nodes, num_targets)
        _check_ends(edge_index, num_nodes, num_targets)
        if num_targets is not None:
            edge_index, num_nodes = _as_square(edge_index, num_nodes, num_targets)
        made, order = sorted_graph(edge_index, num_nodes)
        graph = Graph(made, csr(made), made.is_undirected)
    cached = CachedGraph(key, seen, graph, order)
    if seen:
        setattr(adj, NAME, cached)
    return cached


def _own_key(adj: Adj) -> tuple[object, ...]:
    r"""What the edges depend on besides the tensors of :func:`_structure`."""
    if isinstance(adj, EdgeIndex):
        return (adj.sparse_size(),)
    if isinstance(adj, SparseTensor) or not is_sparse(adj):
        return ()
    return tuple(adj.shape), _is_read_raw(adj)


def _is_read_raw(adj: Tensor) -> bool:
    r"""Whether to use a COO matrix without coalescing it, which saves adding up
    repeated edges in every call. A matrix that requires gradients must be coalesced."""
    return (
        adj.layout is torch.sparse_coo
        and not adj.is_coalesced()
        and not adj.requires_grad
    )


def _edges(adj: Adj) -> Tensor:
    if isinstance(adj, Tensor) and is_sparse(adj) and _is_read_raw(adj):
        return adj._indices().flip(0)
    return to_edge_index(adj)[0]


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
    r"""Values that reveal a later change of these tensors: copies on a CPU, version
    counters elsewhere, and nothing if there is no counter."""
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
    r"""The values of a sparse matrix in the order of its edges."""
    if edge_weight is not None:
        return to_edge_index(adj, edge_weight)[1]  # Raises an error.
    if isinstance(adj, SparseTensor):
        value: Optional[Tensor] = adj.storage.value()
    elif adj.layout is torch.sparse_coo:
        value = adj._values() if _is_read_raw(adj) else adj.coalesce().values()
    else:
        value = adj.values()
    if value is not None:
        check_values(value)
    return value


def _as_square(
    edge_index: Tensor, num_sources: int, num_targets: int
) -> tuple[Tensor, int]:
    r"""A bipartite graph as a square graph in which targets follow sources, and its
    number of nodes."""
    source, target = source_and_target(edge_index)
    out = torch.stack([source.long(), target.long() + num_sources])
    return out, num_sources + num_targets
