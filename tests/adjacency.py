"""The same directed, weighted graph in every format that PyG has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.typing import WITH_TORCH_SPARSE, SparseTensor

NUM_NODES = 9
# Node 8 has no edge, node 0 has a loop; sorted by target.
SOURCE = [0, 3, 5, 0, 2, 7, 1, 4, 1, 2, 6, 3]
TARGET = [0, 0, 0, 1, 1, 2, 3, 3, 5, 5, 6, 7]


def edges() -> tuple[Tensor, Tensor]:
    index = torch.tensor([SOURCE, TARGET])
    weight = torch.linspace(0.5, 2.0, index.size(1), dtype=torch.float64)
    return index, weight


def dense(weight: Tensor | None) -> Tensor:
    """The transposed adjacency matrix: rows are targets."""
    index, _ = edges()
    weight = (
        torch.ones(index.size(1), dtype=torch.float64) if weight is None else weight
    )
    out = torch.zeros(NUM_NODES, NUM_NODES, dtype=torch.float64)
    return out.index_put((index[1], index[0]), weight)


def _shuffled(index: Tensor, weight: Tensor) -> tuple[Any, Tensor]:
    order = torch.randperm(index.size(1), generator=torch.Generator().manual_seed(1))
    return index[:, order], weight[order]


def _edge_index(order: str | None) -> Callable[[Tensor, Tensor], tuple[Any, Tensor]]:
    def build(index: Tensor, weight: Tensor) -> tuple[Any, Tensor]:
        out = EdgeIndex(index, sparse_size=(NUM_NODES, NUM_NODES))
        if order is None:
            return out, weight
        out, perm = out.sort_by(order)
        return out, weight if perm is None else weight[perm]

    return build


def _coo(index: Tensor, weight: Tensor) -> tuple[Any, None]:
    return torch.sparse_coo_tensor(index.flip(0), weight, (NUM_NODES, NUM_NODES)), None


def _coo_repeated(index: Tensor, weight: Tensor) -> tuple[Any, None]:
    """Every edge twice with half its weight, not coalesced."""
    index, weight = index.repeat(1, 2), weight.repeat(2) / 2
    return torch.sparse_coo_tensor(index.flip(0), weight, (NUM_NODES, NUM_NODES)), None


def _csr(index: Tensor, weight: Tensor) -> tuple[Any, None]:
    return _coo(index, weight)[0].coalesce().to_sparse_csr(), None


def _csc(index: Tensor, weight: Tensor) -> tuple[Any, None]:
    return _coo(index, weight)[0].coalesce().to_sparse_csc(), None


def _sparse_tensor(index: Tensor, weight: Tensor) -> tuple[Any, None]:
    size = (NUM_NODES, NUM_NODES)
    return SparseTensor(
        row=index[1], col=index[0], value=weight, sparse_sizes=size
    ), None


FORMATS: dict[str, Callable[[Tensor, Tensor], tuple[Any, Tensor | None]]] = {
    'edge_index': lambda index, weight: (index, weight),
    'edge_index_shuffled': _shuffled,
    'EdgeIndex': _edge_index(None),
    'EdgeIndex_by_row': _edge_index('row'),
    'EdgeIndex_by_col': _edge_index('col'),
    'torch_coo': _coo,
    'torch_coo_repeated': _coo_repeated,
    'torch_csr': _csr,
    'torch_csc': _csc,
}
if WITH_TORCH_SPARSE:
    FORMATS['SparseTensor'] = _sparse_tensor
