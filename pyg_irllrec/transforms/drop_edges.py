from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from pyg_irllrec.transforms._interactions import (
    RATES,
    EdgeType,
    GraphData,
    check_comes_first,
    check_edge_type,
    draw_kept,
    edge_store,
    read_edges,
    select_edges,
)
from pyg_irllrec.utils.checks import check_fraction


@functional_transform('irllrec_drop_edges')
class DropEdges(BaseTransform):
    r"""Leaves out each interaction with probability :obj:`p`, with all that is stored
    of it (functional name: :obj:`irllrec_drop_edges`). Validation and test
    interactions stay. In an undirected :class:`~torch_geometric.data.Data` all edges
    between two nodes, in both directions, go or stay together.

    For draws within a model, on a graph that stays sorted, see
    :func:`~pyg_irllrec.functional.edge_dropout`.

    Args:
        p (float): The probability, in :math:`[0, 1)`.
        generator (torch.Generator, optional): Where the draws come from.
            (default: :obj:`None`, torch's own)
        edge_type (tuple): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`.
            (default: :obj:`('user', 'rates', 'item')`)

    Raises:
        ValueError: If :obj:`p` is out of range, there are no interactions of this
            type, or something was already made of them that would keep all.
    """

    def __init__(
        self,
        p: float,
        generator: Optional[torch.Generator] = None,
        edge_type: EdgeType = RATES,
    ) -> None:
        check_fraction('p', p)
        self.p = p
        self.generator = generator
        self.edge_type = check_edge_type(edge_type)

    def forward(self, data: GraphData) -> GraphData:
        r"""The graph with the interactions that are left."""
        check_comes_first(data, self.edge_type, type(self).__name__)
        store = edge_store(data, self.edge_type)
        edge_index = read_edges(store)
        pair = None if isinstance(data, HeteroData) else _pairs(edge_index)
        count = edge_index.size(1) if pair is None else int(pair.max()) + 1
        kept = draw_kept(count, self.p, edge_index.device, self.generator)
        kept = kept if pair is None else kept[pair]
        select_edges(data, store, kept.nonzero().flatten())
        return data

    def __repr__(self) -> str:
        return f'{type(self).__name__}(p={self.p})'


def _pairs(edge_index: Tensor) -> Optional[Tensor]:
    r"""The number of each edge's pair of nodes in an undirected graph."""
    if edge_index.size(1) == 0:
        return None
    size = int(edge_index.max()) + 1
    source, target = edge_index
    forward, backward = source * size + target, target * size + source
    if not torch.equal(forward.sort().values, backward.sort().values):
        return None
    pair: Tensor = torch.minimum(forward, backward).unique(return_inverse=True)[1]
    return pair
