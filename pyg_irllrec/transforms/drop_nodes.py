from __future__ import annotations

from typing import Optional

import torch
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
    num_nodes,
    read_edges,
    select_edges,
)
from pyg_irllrec.utils.adjacency import check_node_ids
from pyg_irllrec.utils.checks import check_fraction


@functional_transform('irllrec_drop_nodes')
class DropNodes(BaseTransform):
    r"""Leaves out all interactions of each user and of each item with probability
    :obj:`p`, with all that is stored of them (functional name:
    :obj:`irllrec_drop_nodes`). The nodes themselves stay, without edges, and so do
    validation and test interactions.

    For draws within a model, on a graph that stays sorted, see
    :func:`~pyg_irllrec.functional.node_dropout`.

    Args:
        p (float): The probability, in :math:`[0, 1)`.
        generator (torch.Generator, optional): Where the draws come from.
            (default: :obj:`None`, torch's own)
        edge_type (tuple): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`.
            (default: :obj:`('user', 'rates', 'item')`)

    Raises:
        ValueError: If :obj:`p` is out of range, there are no interactions of this
            type, ids are out of range, or something was already made of the
            interactions that would keep all.
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
        source, target = read_edges(store)
        if isinstance(data, HeteroData):
            sizes = num_nodes(data, self.edge_type)
            ends = [self._draw(size, source.device) for size in sizes]
        else:
            size = int(data.num_nodes)
            check_node_ids(store.edge_index, size)
            ends = [self._draw(size, source.device)] * 2
        kept = ends[0][source] & ends[1][target]
        select_edges(data, store, kept.nonzero().flatten())
        return data

    def _draw(self, size: int, device: torch.device) -> torch.Tensor:
        return draw_kept(size, self.p, device, self.generator)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(p={self.p})'
