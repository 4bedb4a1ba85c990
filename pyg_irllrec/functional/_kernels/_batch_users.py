r"""The users of a batch, each once, and what does not compete for them."""

from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.distinct import distinct
from pyg_irllrec.utils.user_items import lookup_items


class BatchUsers(NamedTuple):
    r"""Users, and the position of that of each pair among them."""

    users: Tensor
    row: Tensor
    is_fixed: bool
    """Whether no shape depends on values. There are zeros behind the users then."""


def batch_users(users: Tensor, max_users: Optional[int]) -> BatchUsers:
    r"""The users of pairs. Given how many there are at most, nothing waits for the
    device."""
    if max_users is None:
        found, row = users.unique(return_inverse=True)
        return BatchUsers(found, row, is_fixed=False)
    fixed = distinct(users, max_users)
    return BatchUsers(fixed.value, fixed.place, is_fixed=True)


def known_cells(
    batch: BatchUsers, users: Tensor, rowptr: Tensor, item: Tensor
) -> tuple[Tensor, Tensor]:
    r"""The interactions of the users of a batch, as pairs (position, item). Where
    shapes are fixed these are all there are, those of others behind the last
    position."""
    if not batch.is_fixed:
        return lookup_items(rowptr, item, batch.users)
    behind = batch.users.numel()
    position = users.new_full((rowptr.numel() - 1,), behind)
    position.scatter_(0, users, batch.row)
    number = torch.arange(item.numel(), device=item.device)
    user = torch.searchsorted(rowptr, number, right=True) - 1
    return position[user], item
