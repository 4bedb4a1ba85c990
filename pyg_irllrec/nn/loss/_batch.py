from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.first_occurrence import first_occurrence


class Batch(NamedTuple):
    r"""The nodes of a batch of shape :math:`(R, B)`: a row of users, then rows of
    items."""

    nodes: Tensor
    """Node ids, users first, row after row, of shape :math:`(R B)`."""
    num_rows: int
    """The number :math:`R` of rows."""
    once: Optional[Tensor]
    """1 for the first occurrence of a node in its row, else 0, of shape :math:`(R B)`;
    :obj:`None` if every occurrence counts."""
    share: Optional[Tensor]
    """The same, scaled so that each row sums to 1."""

    def take(self, x: Tensor) -> Tensor:
        r"""Select the rows of these nodes from a matrix with one row per node, of shape
        :math:`(R B, d)`."""
        return x.index_select(0, self.nodes)  # The gradient of x[...] sorts.

    def first_rows(self, num_rows: int) -> Batch:
        r"""Return the first rows of the batch."""
        if num_rows == self.num_rows:
            return self
        size = self.nodes.size(0) // self.num_rows * num_rows
        once = None if self.once is None else self.once[:size]
        share = None if self.share is None else self.share[:size]
        return Batch(self.nodes[:size], num_rows, once, share)


def make_batch(ids: Tensor, num_users: int, dtype: Optional[torch.dtype]) -> Batch:
    r"""Return the batch for user and item ids of shape :math:`(R, B)`, which start at 0
    for each side. With a :obj:`dtype`, a node counts once per row, by weights of this
    dtype; without, every occurrence counts."""
    nodes, num_rows = batch_nodes(ids, num_users), ids.size(0)
    if dtype is None:
        return Batch(nodes, num_rows, None, None)
    once = first_occurrence(ids).to(dtype)
    share = once / once.sum(dim=1, keepdim=True)
    return Batch(nodes, num_rows, once.flatten(), share.flatten())


def batch_nodes(ids: Tensor, num_users: int) -> Tensor:
    r"""Return node ids, users first, for a row of user ids and rows of item ids, row
    after row."""
    return torch.cat([ids[0], (ids[1:] + num_users).flatten()])


def wide_dtype(x: Tensor) -> torch.dtype:
    r"""Return the dtype in which the loss of a tensor is computed."""
    return torch.promote_types(x.dtype, torch.float32)
