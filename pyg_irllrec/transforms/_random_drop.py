from __future__ import annotations

from abc import abstractmethod
from typing import Any, Optional

import torch
from torch import Tensor

from pyg_irllrec.transforms._check_order import check_copies, check_derived
from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.typing import EdgeType, GraphData
from pyg_irllrec.utils.checks import check_fraction, check_generator
from pyg_irllrec.utils.select_edges import select_edges
from pyg_irllrec.utils.split_layout import SplitLayout, split_layout


class RandomDrop(InteractionTransform):
    r"""The base class of transforms that drop interactions at random; for the arguments
    see :class:`~pyg_irllrec.transforms.DropEdges`."""

    def __init__(
        self,
        p: float,
        generator: Optional[torch.Generator] = None,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        check_fraction('p', p)
        check_generator(generator)
        self.p = p
        self.generator = generator
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: GraphData) -> GraphData:
        r"""The graph with the remaining interactions."""
        store, reverse = self._find_stores(data)
        name = type(self).__name__
        check_derived(data, store, reverse, name)
        check_copies(data, store, reverse, name)
        if split_layout(store) is SplitLayout.TRAINING_PART:
            raise ValueError(
                f"{name} would keep the labelled edges of 'data', which holds "
                f'{SplitLayout.TRAINING_PART.value}: apply it before RandomLinkSplit'
            )
        kept = self._kept(data, store).nonzero().flatten()
        select_edges(data, store, kept, reverse)
        return data

    @abstractmethod
    def _kept(self, data: GraphData, store: Any) -> Tensor:
        r"""The mask of the interactions to keep, of shape :math:`(|\mathcal{E}|)`."""

    def _draw(self, count: int, device: torch.device) -> Tensor:
        r"""Draw which of :obj:`count` to keep; each is dropped with probability
        :obj:`p`. Draw on the generator's device, which may differ from the data's."""
        source = device if self.generator is None else self.generator.device
        draw = torch.rand(count, device=source, generator=self.generator)
        return (draw >= self.p).to(device)
