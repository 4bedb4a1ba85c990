from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.typing import WITH_TORCH_SPARSE, Adj, SparseTensor

from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.typing import EdgeType, GraphData
from pyg_irllrec.utils import symmetric_norm
from pyg_irllrec.utils.adjacency import (
    both_directions,
    build_sorted,
    check_node_ids,
    csr,
)
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_choice
from pyg_irllrec.utils.csr_matrix import csr_matrix
from pyg_irllrec.utils.edge_store import num_nodes, read_edges
from pyg_irllrec.utils.optional import import_optional
from pyg_irllrec.utils.select_edges import edge_attributes, select_edges


@functional_transform('irllrec_symmetric_adjacency')
class SymmetricAdjacency(InteractionTransform):
    r"""Build the undirected user-item graph once, with the weights of
    :math:`\mathbf{D}^{-1/2} \mathbf{A} \mathbf{D}^{-1/2}` (functional name:
    :obj:`irllrec_symmetric_adjacency`): users first, then items, as in
    :func:`~pyg_irllrec.utils.bipartite_edge_index`. Only training interactions, those
    in :obj:`edge_index`, become edges; repeated interactions count once, and ratings
    are ignored. Interactions stay where they are; the graph is stored in

    - :obj:`data.edge_index`, an :class:`~torch_geometric.EdgeIndex` sorted by target
      with the transposed view cached, and :obj:`data.edge_weight`, or
    - :obj:`data.adj_t`, a sparse matrix, which is its own transpose.

    On homogeneous :class:`~torch_geometric.data.Data`, :obj:`data.edge_index` itself is
    normalised; it must hold both directions of every edge. Its self-loops stay. The
    layout :obj:`"edge_index"` replaces it and sorts the edge attributes in the same
    way; repeated edges keep the attributes of the first.

    Args:
        layout (str): :obj:`"edge_index"`, or for :obj:`data.adj_t` :obj:`"csr"`,
            :obj:`"coo"` or :obj:`"sparse_tensor"` (needs torch-sparse).
            (default: :obj:`"edge_index"`)
        self_loops (bool): Whether to add a self-loop to every node, which counts in
            its degree, as in GCN. (default: :obj:`False`)
        edge_type (tuple, optional): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found the same way)

    Raises:
        ValueError: If an argument is invalid, ids are out of range, there is no edge,
            or a homogeneous graph is directed or has weights.
        ImportError: If torch-sparse is needed and missing.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.transforms import SymmetricAdjacency
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> graph = SymmetricAdjacency()(data)
        >>> graph.edge_index.shape, graph.edge_weight.shape
        (torch.Size([2, 64]), torch.Size([64]))
        >>> SymmetricAdjacency(layout='csr')(data).adj_t.shape
        torch.Size([22, 22])
    """

    layouts = ('edge_index', 'csr', 'coo', 'sparse_tensor')

    def __init__(
        self,
        layout: str = 'edge_index',
        self_loops: bool = False,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        check_choice('layout', layout, self.layouts)
        if layout == 'sparse_tensor' and not WITH_TORCH_SPARSE:
            import_optional('torch_sparse', "layout='sparse_tensor'", 'sparse')
        self.layout = layout
        check_flag('self_loops', self_loops)
        self.self_loops = self_loops
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: GraphData) -> GraphData:
        r"""The graph with its normalised adjacency."""
        store, _ = self._find_stores(data)
        if store.edge_index.size(1) == 0:
            raise ValueError("'edge_index' must hold at least one edge, got none")
        if isinstance(data, HeteroData):
            num_users, num_items = num_nodes(data, store._key)
            size = num_users + num_items
            edge_index = both_directions(read_edges(store), num_users)
        else:
            size = int(data.num_nodes)
            edge_index = read_edges(store)
            _check_homogeneous(data, edge_index, size)
        if self.self_loops:
            loop = torch.arange(size, device=edge_index.device).expand(2, -1)
            edge_index = torch.cat([edge_index, loop], dim=1)
        graph, order, _ = build_sorted(
            edge_index, size, unique=True, is_undirected=True
        )
        del edge_index  # Half of what the sorted graph takes.
        weight = symmetric_norm(graph, size)
        if self.layout != 'edge_index':
            data.adj_t = _matrix(graph, weight, self.layout)
            return data
        if not isinstance(data, HeteroData):
            _sort_attributes(data, store, order)
        data.edge_index, data.edge_weight = graph, weight
        return data


def _check_homogeneous(data: GraphData, edge_index: Tensor, size: int) -> None:
    if 'edge_weight' in data:
        raise ValueError(
            "'edge_weight' must be absent, because SymmetricAdjacency computes weights "
            'from edges alone: delete it'
        )
    check_node_ids(edge_index, size)
    source, target = edge_index
    single = ~torch.isin(source * size + target, target * size + source)
    if bool(single.any()):
        edge = tuple(edge_index[:, single][:, 0].tolist())
        raise ValueError(
            "'edge_index' must hold both directions of every edge, got "
            f'{int(single.sum())} of {single.numel()} edges without their reverse '
            f'(first: {edge}): apply ToUndirected() first'
        )


def _matrix(graph: EdgeIndex, weight: Tensor, layout: str) -> Adj:
    rowptr, col, *_ = csr(graph)
    size = graph.get_sparse_size()
    if layout == 'csr':
        return csr_matrix(rowptr, col, weight, size)
    if layout == 'coo':
        index = graph.as_tensor().flip(0)
        return torch.sparse_coo_tensor(
            index, weight, size, check_invariants=False, is_coalesced=True
        )
    out = SparseTensor(
        rowptr=rowptr,
        col=col,
        value=weight,
        sparse_sizes=size,
        is_sorted=True,
        trust_data=True,
    )
    out.storage.csr2csc()  # Cached: the backward pass of products needs it.
    return out


def _sort_attributes(data: GraphData, store: object, order: Tensor) -> None:
    names = edge_attributes(data, store)
    if names and int(order.max()) >= data.edge_index.size(1):
        raise ValueError(
            "'self_loops' must be False for edges with attributes, because added loops "
            f'have none, got {", ".join(map(repr, names))}: delete them, or choose a '
            "layout that leaves 'edge_index' unchanged"
        )
    if names:
        select_edges(data, store, order)
