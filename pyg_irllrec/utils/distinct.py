from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Distinct(NamedTuple):
    r"""The distinct numbers of a vector, sorted, and where each element finds its
    own."""

    value: Tensor
    """Those numbers, then zeros, of a size that was given."""
    place: Tensor
    """Of each element, the position of its number among them."""
    last: Tensor
    """The position of the last number."""

    @property
    def is_used(self) -> Tensor:
        r"""Whether a position holds a number."""
        return torch.arange(self.value.numel(), device=self.last.device) <= self.last


def distinct(index: Tensor, most: int) -> Distinct:
    r"""What :meth:`torch.Tensor.unique` finds, in shapes that do not depend on data, so
    that nothing waits for a GPU.

    Args:
        index (torch.Tensor): Numbers, of shape :math:`(B)`, :math:`B > 0`.
        most (int): How many distinct ones there are at most: more are an error of the
            device.
    """
    value, order = index.sort()
    rank = torch.zeros_like(order)
    torch.cumsum(value[1:] != value[:-1], dim=0, out=rank[1:])
    found = value.new_zeros(most).scatter_(0, rank, value)
    place = torch.empty_like(rank).scatter_(0, order, rank)
    return Distinct(found, place, rank[-1])
