from __future__ import annotations

from abc import abstractmethod
from typing import Any, Optional

import torch
from torch import Tensor
from torch_geometric.transforms import BaseTransform

from pyg_irllrec.utils.checks import check_fraction
from pyg_irllrec.utils.interactions import (
    RATES,
    EdgeType,
    GraphData,
    check_comes_first,
    check_edge_type,
    edge_store,
    select_edges,
)


class RandomDrop(BaseTransform):
    r"""What the transforms share that leave out interactions at random; for the
    arguments see :class:`~pyg_irllrec.transforms.DropEdges`."""

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
        select_edges(data, store, self._kept(data, store).nonzero().flatten())
        return data

    @abstractmethod
    def _kept(self, data: GraphData, store: Any) -> Tensor:
        r"""Which interactions stay, of shape :math:`(|\mathcal{E}|)`."""

    def _draw(self, count: int, device: torch.device) -> Tensor:
        r"""Which of :obj:`count` stay where each goes with probability :obj:`p`: drawn
        where the generator lives, so that its device need not be that of the data."""
        place = device if self.generator is None else self.generator.device
        draw = torch.rand(count, device=place, generator=self.generator)
        return (draw >= self.p).to(device)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(p={self.p})'
