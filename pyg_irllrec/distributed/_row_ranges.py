"""The assignment of rows to ranks."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_count


class RowRanges(NamedTuple):
    r"""A range of rows for each rank, cut as DTensor's ``Shard(0)`` does: every range
    has :math:`\lceil N / R \rceil` rows, except the last, which may be shorter or
    empty."""

    num_rows: int
    num_ranks: int

    @property
    def block(self) -> int:
        r"""The number of rows of the first rank, the largest range."""
        return max(1, -(-self.num_rows // self.num_ranks))

    def start(self, rank: int) -> int:
        r"""Return the first row of a rank."""
        return min(rank * self.block, self.num_rows)

    def count(self, rank: int) -> int:
        r"""Return the number of rows of a rank."""
        return self.start(rank + 1) - self.start(rank)


class NodeRanges(NamedTuple):
    r"""A range of users and a range of items for each rank, so that every rank has its
    share of both. The position of a node is the rank of its owner times :attr:`block`,
    plus its row at the owner, which stores its users first."""

    users: RowRanges
    items: RowRanges

    @property
    def block(self) -> int:
        r"""The largest number of nodes of any rank."""
        return self.users.block + self.items.block

    def count(self, rank: int) -> int:
        r"""Return the number of nodes of a rank."""
        return self.users.count(rank) + self.items.count(rank)

    def user_position(self, user: Tensor) -> Tensor:
        r"""Return the positions of users."""
        block = self.users.block
        return user // block * self.block + user % block

    def item_position(self, item: Tensor) -> Tensor:
        r"""Return the positions of items."""
        owner = item // self.items.block
        left = self.users.num_rows - owner * self.users.block
        num_users = left.clamp_(0, self.users.block)
        return owner * self.block + num_users + item % self.items.block


def node_ranges(num_users: int, num_items: int, num_ranks: int) -> NodeRanges:
    r"""Check the numbers of nodes and return their ranges."""
    check_count('num_users', num_users)
    check_count('num_items', num_items)
    return NodeRanges(RowRanges(num_users, num_ranks), RowRanges(num_items, num_ranks))


def check_mesh(mesh: object) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`mesh` is a one-dimensional mesh."""
    advice = "call torch.distributed.device_mesh.init_device_mesh('cuda', (ranks,))"
    check_instance('mesh', mesh, DeviceMesh, advice)
    assert isinstance(mesh, DeviceMesh)
    if mesh.ndim != 1:
        raise ValueError(
            f"'mesh' must have one dimension, got {mesh.ndim}: select one by its name, "
            "mesh['name']"
        )
