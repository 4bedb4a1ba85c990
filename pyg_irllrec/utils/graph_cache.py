from __future__ import annotations

import weakref
from typing import Any, Optional

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import Adj, SparseTensor
from torch_geometric.utils import is_torch_sparse_tensor as is_sparse

from pyg_irllrec.utils.adjacency import narrow_ids, sort_by_target, to_edge_index


class GraphCache:
    r"""The adjacency that a layer has seen last, sorted and with its transpose: the
    next call with the same object, not changed in between, finds it ready. It holds
    the adjacency weakly, and is neither copied nor saved with its layer."""

    def __init__(self) -> None:
        self._seen: Optional[weakref.ref[Any]] = None
        self._key: Optional[tuple[object, ...]] = None
        self._graph: Optional[EdgeIndex] = None
        self._order: Optional[Tensor] = None

    def sort(
        self, adj: Adj, edge_weight: Optional[Tensor], num_nodes: int
    ) -> tuple[EdgeIndex, Optional[Tensor]]:
        r"""The graph sorted by target and its weights in the same order.

        Args:
            adj (torch.Tensor or SparseTensor): Any PyG adjacency.
            edge_weight (torch.Tensor, optional): Weights beside an
                :obj:`edge_index`.
            num_nodes (int): The number of nodes.

        Raises:
            ValueError: As :func:`~pyg_irllrec.utils.to_edge_index`.
        """
        key = (num_nodes, _version(adj), str(_device(adj)))
        if self._seen is None or self._seen() is not adj or self._key != key:
            # Made while nothing is trained, it may still be trained on later.
            with torch.inference_mode(False):
                edge_index, _ = to_edge_index(
                    adj, None if _is_matrix(adj) else edge_weight
                )
                graph, order = sort_by_target(edge_index, num_nodes)
                self._graph, self._order = narrow_ids(graph), order
            self._seen, self._key = weakref.ref(adj), key
        if _is_matrix(adj):
            edge_weight = _values(adj, edge_weight)
        else:
            _, edge_weight = to_edge_index(adj, edge_weight)
        if edge_weight is not None and self._order is not None:
            edge_weight = edge_weight[self._order]
        assert self._graph is not None
        return self._graph, edge_weight

    def __deepcopy__(self, memo: dict[int, Any]) -> GraphCache:
        return GraphCache()

    def __reduce__(self) -> tuple[type[GraphCache], tuple[()]]:
        return GraphCache, ()


def _is_matrix(adj: Adj) -> bool:
    return isinstance(adj, SparseTensor) or is_sparse(adj)


def _version(adj: Adj) -> Optional[int]:
    r"""How often a tensor was changed in place; one of inference mode cannot tell."""
    if not isinstance(adj, Tensor) or adj.is_inference():
        return None
    return adj._version


def _device(adj: Adj) -> torch.device:
    device: torch.device = adj.device() if isinstance(adj, SparseTensor) else adj.device
    return device


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
