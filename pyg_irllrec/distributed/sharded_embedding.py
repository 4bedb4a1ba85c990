from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard
from torch.nn import Module, Parameter

from pyg_irllrec.distributed._row_exchange import RowLookup
from pyg_irllrec.distributed._row_ranges import RowRanges, check_mesh
from pyg_irllrec.utils.checks import check_count, check_generator, check_index


class ShardedEmbedding(Module):
    r"""A table of embeddings of which each rank holds a range of rows. Its weight is a
    :class:`~torch.distributed.tensor.DTensor` with ``Shard(0)``: an optimizer steps the
    rank's own rows, and :mod:`torch.distributed.checkpoint` saves them, and loads them
    on another number of ranks.

    Rows are drawn as :func:`torch.nn.init.xavier_uniform_` draws the whole table, each
    rank its own.

    Args:
        num_rows (int): The number of rows :math:`N` of the whole table.
        dim (int): Their width :math:`d`.
        mesh (DeviceMesh): The ranks, in one dimension.
        generator (torch.Generator, optional): Where this rank's draws come from: seed
            it by rank. (default: :obj:`None`, torch's own)

    Shapes:
        - **ids:** :math:`(B)`, of any owner; each rank has its own
        - **output:** :math:`(B, d)`

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        num_rows: int,
        dim: int,
        mesh: DeviceMesh,
        *,
        generator: Optional[torch.Generator] = None,
    ) -> None:
        super().__init__()
        check_count('num_rows', num_rows)
        check_count('dim', dim)
        check_mesh(mesh)
        check_generator(generator)
        self.group = mesh.get_group()
        self.ranges = RowRanges(num_rows, self.group.size())
        own = torch.empty(
            self.ranges.count(self.group.rank()), dim, device=mesh.device_type
        )
        bound = (6 / (num_rows + dim)) ** 0.5
        own.uniform_(-bound, bound, generator=generator)
        # Ranks differ in size: the shape of the whole has to be given.
        size = torch.Size((num_rows, dim))
        table = DTensor.from_local(own, mesh, [Shard(0)], shape=size, stride=(dim, 1))
        self.weight = Parameter(table)

    @property
    def own(self) -> Tensor:
        r"""The rank's own rows, differentiable."""
        table = self.weight
        assert isinstance(table, DTensor)
        return table.to_local()

    def forward(self, ids: Tensor) -> Tensor:
        r"""Rows from their owners. All ranks call it together.

        Args:
            ids (torch.Tensor): Row numbers of the whole table, of shape :math:`(B)`.
        """
        check_index('ids', ids, self.ranges.num_rows, may_be_empty=True)
        block = self.ranges.block
        return RowLookup(ids // block, ids % block, self.group)(self.own)

    def extra_repr(self) -> str:
        r"""The size of the whole table."""
        return f'{self.ranges.num_rows}, {self.weight.size(1)}'
