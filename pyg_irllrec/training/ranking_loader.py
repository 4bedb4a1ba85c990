from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from itertools import pairwise
from typing import NamedTuple, Optional

import numpy as np
from torch import Tensor

from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_count
from pyg_irllrec.utils.user_items import lookup_items
from pyg_irllrec.utils.warn_caller import warn_caller

USERS_AT_ONCE = 128
"""The number of users per batch on a CPU, whose scores stay in its caches."""

SCORES_AT_ONCE = 2**27
"""The number of scores per batch on other devices: half a gibibyte, of which ranking
needs about three times the memory."""


class RankingBatch(NamedTuple):
    r"""A batch of users to rank all items for.

    Example:
        >>> import torch
        >>> from pyg_irllrec.training import RankingLoader
        >>> from pyg_irllrec.utils import UserItems
        >>> train = UserItems(torch.tensor([[0, 1], [0, 1]]), 2, 4)
        >>> val = UserItems(torch.tensor([[0, 1], [2, 3]]), 2, 4)
        >>> batch = next(iter(RankingLoader(val, train)))
        >>> batch.user, batch.label
        (tensor([0, 1]), (tensor([0, 1]), tensor([2, 3])))
    """

    user: Tensor
    """The ids of the users, of shape :math:`(B)`."""
    exclude: tuple[Tensor, Tensor]
    """The items to mask, as positions in :obj:`user` and item ids."""
    label: tuple[Tensor, Tensor]
    """The held-out items, as positions in :obj:`user` and item ids."""


class RankingLoader:
    r"""Batches of the users with held-out interactions, for a ranking of all items.

    Args:
        label (UserItems): The held-out interactions.
        exclude (UserItems): The training interactions, which are masked.
        batch_size (int, optional): The number of users per batch.
            (default: :obj:`None`, 128 on a CPU, and :math:`2^{27} / I` for :math:`I`
            items on other devices)

    Raises:
        ValueError: If there are no labels, sizes differ, or all labels are masked.
            If only some are, a warning gives their number.

    Example:
        >>> import torch
        >>> from pyg_irllrec.training import RankingLoader
        >>> from pyg_irllrec.utils import UserItems
        >>> train = UserItems(torch.tensor([[0, 1], [0, 1]]), 2, 4)
        >>> val = UserItems(torch.tensor([[0, 1], [2, 3]]), 2, 4)
        >>> [batch.user for batch in RankingLoader(val, train, batch_size=1)]
        [tensor([0]), tensor([1])]
    """

    def __init__(
        self, label: UserItems, exclude: UserItems, batch_size: Optional[int] = None
    ) -> None:
        check_instance('label', label, UserItems)
        check_instance('exclude', exclude, UserItems)
        if batch_size is not None:
            check_count('batch_size', batch_size)
        if (exclude.num_users, exclude.num_items) != (label.num_users, label.num_items):
            raise ValueError(
                "'exclude' must have the users and items of 'label', "
                f'{label.num_users} and {label.num_items}, got {exclude.num_users} and '
                f'{exclude.num_items}'
            )
        self.label = label
        self.exclude = exclude
        self.batch_size = batch_size
        self.user = label.degree.nonzero().flatten()
        if self.user.numel() == 0:
            raise ValueError("'label' must hold at least one interaction, got none")
        _check_disjoint(label, exclude)
        # Keep these sizes on the host, so that a pass does not wait for the device.
        self._exclude_ends, self._label_ends = (
            _ends(each.degree[self.user]) for each in (exclude, label)
        )

    def _with(self, label: UserItems, exclude: UserItems) -> RankingLoader:
        r"""Return a copy over the same interactions on another device, unchecked."""
        out = copy(self)
        out.label, out.exclude = label, exclude
        out.user = self.user.to(label.item.device)
        return out

    def _share(self, rank: int, num_ranks: int) -> RankingLoader:
        r"""Return a copy with every :math:`R`-th user. If there are fewer users than
        ranks, every rank has all users, which does not change means over users."""
        if num_ranks == 1 or self.user.numel() < num_ranks:
            return self
        out = copy(self)
        out.user = self.user[rank::num_ranks]
        out._exclude_ends, out._label_ends = (
            _ends(each.degree[out.user]) for each in (self.exclude, self.label)
        )
        return out

    def __len__(self) -> int:
        return -(-self.user.numel() // self._users_at_once())

    def __iter__(self) -> Iterator[RankingBatch]:
        num_users, size = self.user.numel(), self._users_at_once()
        for first, end in pairwise((*range(0, num_users, size), num_users)):
            user = self.user[first:end]
            yield RankingBatch(
                user,
                _lookup(self.exclude, user, self._exclude_ends, first, end),
                _lookup(self.label, user, self._label_ends, first, end),
            )

    def _users_at_once(self) -> int:
        if self.batch_size is not None:
            return self.batch_size
        if self.user.is_cpu:
            return USERS_AT_ONCE
        return max(1, SCORES_AT_ONCE // self.label.num_items)


def _ends(count: Tensor) -> np.ndarray:
    r"""Return the end of each user's pairs, after a zero, on the host."""
    ends = np.zeros(count.numel() + 1, dtype=np.int64)
    count.cpu().numpy().cumsum(out=ends[1:])
    return ends


def _lookup(
    held: UserItems, user: Tensor, ends: np.ndarray, first: int, end: int
) -> tuple[Tensor, Tensor]:
    size = int(ends[end] - ends[first])
    return lookup_items(held.rowptr, held.item, user, size)


def _check_disjoint(label: UserItems, exclude: UserItems) -> None:
    r"""Warn of labels that are masked and can therefore never be hits."""
    hidden = int(label.intersect(exclude).sum())
    if hidden == 0:
        return
    message = (
        f'{hidden} of {label.item.numel()} held-out interactions are also trained on: '
        'they are masked in the ranking and count as misses'
    )
    if hidden == label.item.numel():
        raise ValueError(f"{message}. Hold out interactions that are not in 'exclude'")
    warn_caller(f'{message}. Remove them from one of the two splits')
