r"""The distinct users of a batch, and the items that are left out of their
denominators."""

from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.distinct import distinct
from pyg_irllrec.utils.user_items import lookup_items


class BatchUsers(NamedTuple):
    r"""The distinct users of a batch of pairs."""

    users: Tensor
    """The distinct user ids."""
    row: Tensor
    """The position in :obj:`users` of each pair's user."""
    is_fixed: bool
    """Whether :obj:`users` has a fixed size and is padded with zeros."""


def batch_users(users: Tensor, max_users: Optional[int]) -> BatchUsers:
    r"""The distinct users of pairs. With :obj:`max_users`, nothing waits for the
    device."""
    if max_users is None:
        found, row = users.unique(return_inverse=True)
        return BatchUsers(found, row, is_fixed=False)
    fixed = distinct(users, max_users)
    return BatchUsers(fixed.value, fixed.place, is_fixed=True)


def known_cells(
    batch: BatchUsers, users: Tensor, rowptr: Tensor, item: Tensor
) -> tuple[Tensor, Tensor]:
    r"""The interactions of the users of a batch, as positions in the batch and items.
    With fixed shapes, all interactions are returned, and those of other users get the
    position after the last one."""
    if not batch.is_fixed:
        return lookup_items(rowptr, item, batch.users)
    unused = batch.users.numel()
    position = users.new_full((rowptr.numel() - 1,), unused)
    position.scatter_(0, users, batch.row)
    number = torch.arange(item.numel(), device=item.device)
    user = torch.searchsorted(rowptr, number, right=True) - 1
    return position[user], item
