r"""One way to read all adjacency formats of PyG."""

from __future__ import annotations

from typing import NamedTuple, Optional, Union, overload

import torch
import torch_geometric.utils
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj, SparseTensor
from torch_geometric.utils import is_torch_sparse_tensor as is_sparse

from pyg_irllrec.utils.checks import check_count, check_ids


def to_edge_index(
    adj: Adj, edge_weight: Optional[Tensor] = None
) -> tuple[Tensor, Optional[Tensor]]:
    r"""Convert any PyG adjacency to edges and edge weights.

    Row 0 of the result holds the sources, row 1 the targets. Sparse matrices follow
    PyG's convention: they are *transposed* (:obj:`adj_t`, one row per target), and
    their values are the edge weights. Matrices with a known order are returned as an
    :class:`~torch_geometric.EdgeIndex` that is marked as sorted.

    Args:
        adj (torch.Tensor or SparseTensor): An :obj:`edge_index` of shape
            :math:`(2, |\mathcal{E}|)`, an :class:`~torch_geometric.EdgeIndex`,
            a :obj:`torch.sparse` COO, CSR or CSC matrix or a
            :class:`torch_sparse.SparseTensor`.
        edge_weight (torch.Tensor, optional): The weights of an :obj:`edge_index`, of
            shape :math:`(|\mathcal{E}|)`. (default: :obj:`None`)

    Returns:
        The edges of shape :math:`(2, |\mathcal{E}|)` and the weights of shape
        :math:`(|\mathcal{E}|)`, or :obj:`None` if there are no weights.

    Raises:
        ValueError: If the adjacency or its weights have an invalid shape or type, or
            if weights are given in addition to a sparse matrix.

    Example:
        >>> import torch
        >>> from pyg_irllrec.utils import to_edge_index
        >>> adj_t = torch.tensor([[0.0, 0.5], [2.0, 0.0]]).to_sparse_coo()
        >>> edge_index, edge_weight = to_edge_index(adj_t)
        >>> edge_index  # Sources above targets.
        tensor([[1, 0],
                [0, 1]])
        >>> edge_weight
        tensor([0.5000, 2.0000])
    """
    if not isinstance(adj, SparseTensor) and not is_sparse(adj):
        check_edge_index(adj, edge_weight)
        return adj, edge_weight
    if edge_weight is not None:
        raise ValueError(
            "'edge_weight' must be None with a sparse matrix (its values are the "
            f'weights), got a tensor of shape {tuple(edge_weight.shape)}'
        )

    if isinstance(adj, SparseTensor):
        target, source, value = adj.coo()
        sort_order: Optional[str] = 'col'
    else:
        if adj.layout is torch.sparse_coo:
            # PyG marks it as coalesced in place, which fails if it requires gradients.
            adj = adj.coalesce()
            (target, source), value = adj.indices(), adj.values()
        else:
            (target, source), value = torch_geometric.utils.to_edge_index(adj)
        # A COO matrix can be marked as coalesced without being sorted.
        sort_order = {torch.sparse_csr: 'col', torch.sparse_csc: 'row'}.get(adj.layout)
    if value is not None:
        check_values(value)
    edge_index = torch.stack([source, target])
    if sort_order is None:
        return edge_index, value
    size = (adj.size(1), adj.size(0))
    return EdgeIndex(edge_index, sparse_size=size, sort_order=sort_order), value


def check_values(value: Tensor) -> None:
    r"""Raise a :class:`ValueError` unless the values of a sparse matrix are one real
    number per edge."""
    if value.dim() != 1 or value.is_complex():
        raise ValueError(
            'The values of a sparse matrix must be one real number per edge, got '
            f'{value.dtype} of shape {tuple(value.shape)}'
        )


class CSR(NamedTuple):
    r"""A graph sorted by target and by source, for sparse products forward and
    backward."""

    rowptr: Tensor
    """The start of each target's edges, of shape :math:`(|\\mathcal{V}| + 1)`."""
    col: Tensor
    """The sources, target by target, of shape :math:`(|\\mathcal{E}|)`."""
    t_rowptr: Tensor
    """The start of each source's edges in the transposed order."""
    t_col: Tensor
    """The targets, source by source."""
    t_perm: Tensor
    """The position in :obj:`col` of each edge of the transposed order."""


class SortedEdges(NamedTuple):
    r"""The result of :func:`build_sorted`."""

    edge_index: EdgeIndex
    """The edges sorted by target, with the transposed view cached."""
    order: Tensor
    """The input position of each edge, the first one of repeated edges."""
    weight: Optional[Tensor]
    """The weights in the new order."""


def build_sorted(
    edge_index: Tensor,
    num_nodes: int,
    edge_weight: Optional[Tensor] = None,
    *,
    unique: bool = False,
    is_undirected: Optional[bool] = None,
) -> SortedEdges:
    r"""Build an :class:`~torch_geometric.EdgeIndex` that is sorted by target, without
    checks. All sorted graphs of this package are built here.

    Args:
        edge_index (torch.Tensor): Edges with ids below :obj:`num_nodes`, of shape
            :math:`(2, |\mathcal{E}|)`.
        num_nodes (int): The number of nodes.
        edge_weight (torch.Tensor, optional): Weights of shape
            :math:`(|\mathcal{E}|)`. (default: :obj:`None`)
        unique (bool): Whether to merge repeated edges and add up their weights.
            (default: :obj:`False`)
        is_undirected (bool, optional): Whether every edge has its reverse.
            (default: :obj:`None`, check)
    """
    if isinstance(edge_index, EdgeIndex):
        edge_index = edge_index.as_tensor()
    edge_index = edge_index.long()
    source, target = edge_index
    key, order = (target * num_nodes + source).sort(stable=True)
    if is_undirected is None:
        reverse = (source * num_nodes + target).sort().values
        is_undirected = torch.equal(key, reverse)
    if edge_weight is not None:
        edge_weight = edge_weight[order]
    if unique:
        first = torch.ones_like(key, dtype=torch.bool)
        first[1:] = key[1:] != key[:-1]
        order = order[first]
        if edge_weight is not None:
            place = first.cumsum(0) - 1
            total = edge_weight.new_zeros(order.size(0))
            edge_weight = total.index_add(0, place, edge_weight)
    del key, source, target  # As large as a row of edges each, or views of both.
    out = EdgeIndex(
        edge_index.index_select(1, order),
        sparse_size=(num_nodes, num_nodes),
        sort_order='col',
        is_undirected=is_undirected,
    )
    del edge_index
    return SortedEdges(out.fill_cache_(), order, edge_weight)


def sort_by_target(
    edge_index: Tensor, num_nodes: int
) -> tuple[EdgeIndex, Optional[Tensor]]:
    r"""The edges sorted by target, with the transposed view cached, and the order to
    apply to weights (:obj:`None` if the edges were sorted already). It does not trust
    the metadata of an :class:`~torch_geometric.EdgeIndex`: its ids may have changed."""
    check_node_ids(edge_index, num_nodes)
    out, order, _ = build_sorted(edge_index, num_nodes)
    is_same = torch.equal(order, torch.arange(order.size(0), device=order.device))
    return out, None if is_same else order


def narrow_ids(edge_index: EdgeIndex) -> EdgeIndex:
    r"""Convert ids to 32 bits if they fit: torch's sparse products would convert wider
    ids in every call."""
    csr(edge_index)  # Fills the cache first, so that it is narrowed too.
    most = max(edge_index.size(1), *edge_index.get_sparse_size())
    if edge_index.dtype == torch.int32 or most >= 2**31:
        return edge_index
    out: EdgeIndex = edge_index.int()
    return out


def csr(edge_index: EdgeIndex) -> CSR:
    r"""The arrays of an :class:`~torch_geometric.EdgeIndex` sorted by target. They stay
    in its cache."""
    (rowptr, col), _ = edge_index.get_csc()
    (t_rowptr, t_col), t_perm = edge_index.get_csr()
    assert t_perm is not None
    return CSR(rowptr, col, t_rowptr, t_col, t_perm)


def source_and_target(edge_index: Tensor) -> tuple[Tensor, Tensor]:
    r"""Both rows of an :obj:`edge_index` as plain tensors. In inference mode an
    :class:`~torch_geometric.EdgeIndex` itself cannot be indexed."""
    if isinstance(edge_index, EdgeIndex):
        edge_index = edge_index.as_tensor()
    return edge_index[0], edge_index[1]


def plain_edge_index(edge_index: Tensor) -> Tensor:
    r"""Convert an :obj:`edge_index` to a plain tensor of :obj:`torch.long`, which every
    layer of PyG accepts. Scatter operations need this dtype, and most layers cannot use
    an :class:`~torch_geometric.EdgeIndex` in inference mode.

    Args:
        edge_index (torch.Tensor): The edges, of shape :math:`(2, |\mathcal{E}|)`.

    Raises:
        ValueError: If the shape or type is invalid.

    Example:
        >>> import torch
        >>> from torch_geometric import EdgeIndex
        >>> from pyg_irllrec.utils import plain_edge_index
        >>> edge_index = EdgeIndex([[0, 1], [1, 0]], dtype=torch.int32)
        >>> plain_edge_index(edge_index)
        tensor([[0, 1],
                [1, 0]])
    """
    check_edge_index(edge_index)
    return torch.stack(source_and_target(edge_index)).long()


def check_edge_index(
    edge_index: object, edge_weight: Optional[Tensor] = None, name: str = 'edge_index'
) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`edge_index` holds pairs of ids and
    :obj:`edge_weight` one weight per pair. It does not read the values."""
    if not isinstance(edge_index, Tensor):
        raise ValueError(
            f"'{name}' must be a tensor or a SparseTensor, got "
            f'{type(edge_index).__name__}'
        )
    if edge_index.dim() != 2 or edge_index.size(0) != 2:
        raise ValueError(
            f"'{name}' must have shape (2, num_edges), got {tuple(edge_index.shape)}"
        )
    check_ids(name, edge_index)
    if edge_weight is None:
        return
    if not isinstance(edge_weight, Tensor) or edge_weight.is_complex():
        is_tensor = isinstance(edge_weight, Tensor)
        raise ValueError(
            "'edge_weight' must be a tensor of real numbers, got "
            f'{edge_weight.dtype if is_tensor else type(edge_weight).__name__}'
        )
    if edge_weight.layout is not torch.strided:
        raise ValueError(f"'edge_weight' must be dense, got {edge_weight.layout}")
    if edge_weight.shape != edge_index.shape[1:]:
        raise ValueError(
            f"'edge_weight' must have shape ({edge_index.size(1)},), one weight per "
            f'edge, got {tuple(edge_weight.shape)}'
        )


def check_node_ids(
    edge_index: Tensor, num_nodes: int, name: str = 'edge_index'
) -> None:
    r"""Raise a :class:`ValueError` if an id is outside :math:`[0, \text{num\_nodes})`.
    It reads the values: call it once per graph, not in every training step."""
    if edge_index.numel() == 0:
        return
    low, high = edge_index.aminmax()
    if int(low) < 0 or int(high) >= num_nodes:
        raise ValueError(
            f"'{name}' must hold ids from 0 to {num_nodes - 1}, got ids from "
            f'{int(low)} to {int(high)}'
        )


def symmetric_norm(
    edge_index: Tensor, num_nodes: int, dtype: Optional[torch.dtype] = None
) -> Tensor:
    r"""The edge weights of the symmetrically normalised adjacency matrix
    :math:`\mathbf{D}^{-1/2} \mathbf{A} \mathbf{D}^{-1/2}`, in the order of
    :obj:`edge_index`. The left :math:`\mathbf{D}` counts the outgoing edges of each
    node, the right one the incoming edges. Repeated edges count repeatedly.

    Args:
        edge_index (torch.Tensor): The edges, of shape :math:`(2, |\mathcal{E}|)`.
        num_nodes (int): The number of nodes.
        dtype (torch.dtype, optional): The dtype of the weights.
            (default: :obj:`None`, torch's default dtype)

    Returns:
        The weights, of shape :math:`(|\mathcal{E}|)`.

    Raises:
        ValueError: If a shape or type is invalid or, on a CPU, an id is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.utils import symmetric_norm
        >>> edge_index = torch.tensor([[0, 1, 0, 2], [1, 0, 2, 0]])
        >>> symmetric_norm(edge_index, num_nodes=3)  # 1 / sqrt(2 * 1)
        tensor([0.7071, 0.7071, 0.7071, 0.7071])
    """
    check_edge_index(edge_index)
    check_count('num_nodes', num_nodes, least=0)
    if dtype is None:
        dtype = torch.get_default_dtype()
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"'dtype' must be a floating-point torch.dtype, got {dtype!r}")
    if edge_index.is_cpu and not torch.compiler.is_compiling():
        check_node_ids(edge_index, num_nodes)
    source, target = source_and_target(edge_index)
    out_degree = torch.bincount(source, minlength=num_nodes)
    in_degree = torch.bincount(target, minlength=num_nodes)
    # Every edge counts at both ends, so no degree used here is zero.
    product = out_degree[source].mul_(in_degree[target])
    return product.to(dtype).rsqrt()


def both_directions(interactions: Tensor, num_users: int) -> Tensor:
    r"""The edges of the undirected user-item graph, in which items follow users: first
    all edges from users to items, then all reverse edges."""
    user, item = interactions[0], interactions[1] + num_users
    return torch.stack([torch.cat([user, item]), torch.cat([item, user])])


@overload
def bipartite_edge_index(
    edge_index: Tensor, num_users: int, num_items: int, edge_weight: None = None
) -> EdgeIndex: ...
@overload
def bipartite_edge_index(
    edge_index: Tensor, num_users: int, num_items: int, edge_weight: Tensor
) -> tuple[EdgeIndex, Tensor]: ...
def bipartite_edge_index(
    edge_index: Tensor,
    num_users: int,
    num_items: int,
    edge_weight: Optional[Tensor] = None,
) -> Union[EdgeIndex, tuple[EdgeIndex, Tensor]]:
    r"""Build the undirected user-item graph :math:`\mathbf{A} = \begin{bmatrix}
    \mathbf{0} & \mathbf{R} \\ \mathbf{R}^{\top} & \mathbf{0} \end{bmatrix}` from
    interactions.

    Item ids follow user ids, and every interaction gives one edge in each direction.
    Repeated interactions are merged, as in
    :class:`~pyg_irllrec.transforms.SymmetricAdjacency`, and their weights are added up.

    The edges are sorted by target, with the transposed view cached, as compiled sparse
    products need it. In eager mode the first call sorts them again, because their ids
    may have changed.

    Args:
        edge_index (torch.Tensor): User ids and item ids, both zero-based, of shape
            :math:`(2, |\mathcal{E}|)`.
        num_users (int): The number of users.
        num_items (int): The number of items.
        edge_weight (torch.Tensor, optional): One weight per interaction, of shape
            :math:`(|\mathcal{E}|)`. (default: :obj:`None`)

    Returns:
        The graph or, with :obj:`edge_weight`, the graph and the weights in the order of
        its edges.

    Raises:
        ValueError: If an id is out of range, a shape is invalid or there are no
            interactions.

    Example:
        >>> import torch
        >>> from pyg_irllrec.utils import bipartite_edge_index
        >>> interactions = torch.tensor([[0, 0, 1], [0, 1, 1]])
        >>> graph = bipartite_edge_index(interactions, num_users=2, num_items=2)
        >>> graph.as_tensor()
        tensor([[2, 3, 3, 0, 0, 1],
                [0, 0, 1, 2, 3, 3]])
    """
    check_edge_index(edge_index, edge_weight)
    check_count('num_users', num_users)
    check_count('num_items', num_items)
    if num_users + num_items >= 2**31:  # Keys up to its square must fit into 64 bits.
        raise ValueError(
            "'num_users' + 'num_items' must be below 2**31, got "
            f'{num_users} + {num_items}'
        )
    edge_index = plain_edge_index(edge_index)
    if edge_index.size(1) == 0:
        raise ValueError("'edge_index' must hold at least one interaction, got none")
    check_node_ids(edge_index[0], num_users, 'edge_index[0] (users)')
    check_node_ids(edge_index[1], num_items, 'edge_index[1] (items)')
    both_weights = None if edge_weight is None else edge_weight.repeat(2)
    graph, _, weight = build_sorted(
        both_directions(edge_index, num_users),
        num_users + num_items,
        both_weights,
        unique=True,
        is_undirected=True,
    )
    return graph if weight is None else (graph, weight)
