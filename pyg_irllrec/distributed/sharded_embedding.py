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
    r"""An embedding table that is sharded by rows: each rank stores a range of them.
    The weight is a :class:`~torch.distributed.tensor.DTensor` with ``Shard(0)``, so
    that an optimizer updates only the rank's own rows.
    :mod:`torch.distributed.checkpoint` saves the table and can load it on a different
    number of ranks.

    Each rank initializes its own rows, with the bounds that
    :func:`torch.nn.init.xavier_uniform_` uses for the whole table.

    Args:
        num_rows (int): The number of rows :math:`N` of the whole table.
        dim (int): The embedding dimension :math:`d`.
        mesh (DeviceMesh): A one-dimensional mesh of the ranks.
        generator (torch.Generator, optional): The generator of this rank's initial
            rows. Use a different seed on each rank.
            (default: :obj:`None`, torch's own)

    Shapes:
        - **ids:** :math:`(B)`, rows of any owner; ranks may pass different ids
        - **output:** :math:`(B, d)`

    Raises:
        ValueError: If an argument has a wrong type or is out of range.

    Example:
        >>> import torch
        >>> import torch.distributed as dist
        >>> from torch.distributed.device_mesh import init_device_mesh
        >>> from pyg_irllrec.distributed import ShardedEmbedding
        >>> store = dist.HashStore()  # torchrun: init_process_group('gloo') suffices
        >>> dist.init_process_group('gloo', store=store, rank=0, world_size=1)
        >>> table = ShardedEmbedding(100, 16, init_device_mesh('cpu', (1,)))
        >>> table(torch.tensor([7, 99])).shape
        torch.Size([2, 16])
        >>> dist.destroy_process_group()
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
        # Ranks may have different numbers of rows, so DTensor cannot infer the shape.
        size = torch.Size((num_rows, dim))
        table = DTensor.from_local(own, mesh, [Shard(0)], shape=size, stride=(dim, 1))
        self.weight = Parameter(table)

    @property
    def own(self) -> Tensor:
        r"""The rows that this rank owns, as a plain tensor that tracks gradients."""
        table = self.weight
        assert isinstance(table, DTensor)
        return table.to_local()

    def forward(self, ids: Tensor) -> Tensor:
        r"""Fetch rows from their owners. All ranks must call it together.

        Args:
            ids (torch.Tensor): Row numbers of the whole table, of shape :math:`(B)`.

        Raises:
            ValueError: If :obj:`ids` is not a vector of row numbers.
        """
        check_index('ids', ids, self.ranges.num_rows, may_be_empty=True)
        block = self.ranges.block
        return RowLookup(ids // block, ids % block, self.group)(self.own)

    def extra_repr(self) -> str:
        r"""Return the size of the whole table."""
        return f'{self.ranges.num_rows}, {self.weight.size(1)}'
