"""Which rank owns which rows."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_count


class RowRanges(NamedTuple):
    r"""A range of rows per rank, as DTensor's ``Shard(0)`` cuts them: of
    :math:`\lceil N / R \rceil` rows, but for the last ones."""

    num_rows: int
    num_ranks: int

    @property
    def block(self) -> int:
        r"""The rows of the first rank."""
        return max(1, -(-self.num_rows // self.num_ranks))

    def start(self, rank: int) -> int:
        r"""The first row of a rank."""
        return min(rank * self.block, self.num_rows)

    def count(self, rank: int) -> int:
        r"""The rows of a rank."""
        return self.start(rank + 1) - self.start(rank)


class NodeRanges(NamedTuple):
    r"""A range of users and one of items per rank, so that each has its share of both.
    A node's position is the rank of its owner times :attr:`block`, plus its row there,
    where users come first."""

    users: RowRanges
    items: RowRanges

    @property
    def block(self) -> int:
        r"""The most nodes of a rank."""
        return self.users.block + self.items.block

    def count(self, rank: int) -> int:
        r"""The nodes of a rank."""
        return self.users.count(rank) + self.items.count(rank)

    def user_position(self, user: Tensor) -> Tensor:
        r"""The positions of users."""
        block = self.users.block
        return user // block * self.block + user % block

    def item_position(self, item: Tensor) -> Tensor:
        r"""The positions of items."""
        owner = item // self.items.block
        left = self.users.num_rows - owner * self.users.block
        users_there = left.clamp_(0, self.users.block)
        return owner * self.block + users_there + item % self.items.block


def node_ranges(num_users: int, num_items: int, num_ranks: int) -> NodeRanges:
    r"""The ranges of checked numbers of nodes."""
    check_count('num_users', num_users)
    check_count('num_items', num_items)
    return NodeRanges(RowRanges(num_users, num_ranks), RowRanges(num_items, num_ranks))


def check_mesh(mesh: object) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`mesh` is one row of devices."""
    advice = "call torch.distributed.device_mesh.init_device_mesh('cuda', (ranks,))"
    check_instance('mesh', mesh, DeviceMesh, advice)
    assert isinstance(mesh, DeviceMesh)
    if mesh.ndim != 1:
        raise ValueError(
            f"'mesh' must have one dimension, got {mesh.ndim}: take one of them by name"
        )
