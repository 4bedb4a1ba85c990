from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.first_occurrence import first_occurrence


class Batch(NamedTuple):
    r"""The nodes of a batch: a row of users, then rows of items, of shape
    :math:`(R, B)`."""

    nodes: Tensor
    """Their numbers among all nodes, row after row, of shape :math:`(R B)`."""
    num_rows: int
    """The number :math:`R` of rows."""
    once: Optional[Tensor]
    """One where a node is the first of its row, else zero, of shape :math:`(R B)`;
    missing where every occurrence counts."""
    share: Optional[Tensor]
    """The same, where each row sums to one."""

    def take(self, x: Tensor) -> Tensor:
        r"""Their rows of a matrix with one per node, of shape :math:`(R B, d)`."""
        return x.index_select(0, self.nodes)  # The gradient of x[...] would sort.

    def first_rows(self, num_rows: int) -> Batch:
        r"""The same without the last rows."""
        if num_rows == self.num_rows:
            return self
        size = self.nodes.size(0) // self.num_rows * num_rows
        once = None if self.once is None else self.once[:size]
        share = None if self.share is None else self.share[:size]
        return Batch(self.nodes[:size], num_rows, once, share)


def make_batch(ids: Tensor, num_users: int, dtype: Optional[torch.dtype]) -> Batch:
    r"""The batch of ids of nodes, each from zero, of shape :math:`(R, B)`. A node
    counts once in a row, with weights of this dtype, or as often as it stands there
    without one."""
    nodes, num_rows = batch_nodes(ids, num_users), ids.size(0)
    if dtype is None:
        return Batch(nodes, num_rows, None, None)
    once = first_occurrence(ids).to(dtype)
    share = once / once.sum(dim=1, keepdim=True)
    return Batch(nodes, num_rows, once.flatten(), share.flatten())


def batch_nodes(ids: Tensor, num_users: int) -> Tensor:
    r"""The numbers among all nodes, users first, of a row of users and rows of items,
    row after row."""
    return torch.cat([ids[0], (ids[1:] + num_users).flatten()])


def wide_dtype(x: Tensor) -> torch.dtype:
    r"""The dtype in which a loss of this tensor is computed."""
    return torch.promote_types(x.dtype, torch.float32)
