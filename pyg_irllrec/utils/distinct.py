from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Distinct(NamedTuple):
    r"""The result of :func:`distinct`."""

    value: Tensor
    """The distinct numbers, sorted and padded with zeros to a fixed size."""
    place: Tensor
    """The position in :obj:`value` of each element."""
    last: Tensor
    """The position in :obj:`value` of the last distinct number."""

    @property
    def is_used(self) -> Tensor:
        r"""Whether each position of :obj:`value` holds a number rather than padding."""
        return torch.arange(self.value.numel(), device=self.last.device) <= self.last


def distinct(index: Tensor, most: int) -> Distinct:
    r"""The distinct numbers of a vector, like :meth:`torch.Tensor.unique`, in shapes
    that do not depend on the data, so that nothing waits for a GPU.

    Args:
        index (torch.Tensor): The numbers, of shape :math:`(B)`, :math:`B > 0`.
        most (int): The maximum number of distinct numbers. More are a device-side
            error.
    """
    value, order = index.sort()
    rank = torch.zeros_like(order)
    torch.cumsum(value[1:] != value[:-1], dim=0, out=rank[1:])
    found = value.new_zeros(most).scatter_(0, rank, value)
    place = torch.empty_like(rank).scatter_(0, order, rank)
    return Distinct(found, place, rank[-1])
