from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.adjacency import check_edge_index, check_node_ids
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_count, check_generator, check_index
from pyg_irllrec.utils.edge_store import plain


class UserItems:
    r"""The items of every user, sorted: answers by batch of users, without a loop
    over users or interactions, in :math:`O(|\mathcal{E}|)` memory.

    Args:
        interactions (torch.Tensor): User ids and item ids, both from zero, of
            shape :math:`(2, |\mathcal{E}|)`, in any order; repeated ones count
            once.
        num_users (int): The number of users.
        num_items (int): The number of items.

    Raises:
        ValueError: If the shape is wrong or an id is out of range.
    """

    def __init__(self, interactions: Tensor, num_users: int, num_items: int) -> None:
        check_count('num_users', num_users, 0)
        check_count('num_items', num_items, 0)
        if num_users * (num_items + 1) >= 2**63:
            raise ValueError(
                "'num_users' times 'num_items' must be below 2**63, got "
                f'{num_users} and {num_items}'
            )
        check_edge_index(interactions, name='interactions')
        interactions = plain(interactions).long()
        check_node_ids(interactions[0], num_users, 'interactions[0] (users)')
        check_node_ids(interactions[1], num_items, 'interactions[1] (items)')
        key = (interactions[0] * num_items + interactions[1]).unique()
        user = key.div(num_items, rounding_mode='floor')
        self.num_users = num_users
        self.num_items = num_items
        self.item = key - user * num_items
        self.degree = torch.bincount(user, minlength=num_users)
        self.rowptr = torch.cat([self.degree.new_zeros(1), self.degree.cumsum(0)])
        # The number of missing items below each item, made globally sorted by
        # user: a search in it turns "the r-th missing item" into an item.
        rank = torch.arange(key.numel(), device=key.device) - self.rowptr[user]
        self._missing_below = user * (num_items + 1) + self.item - rank

    def to(self, device: torch.device) -> UserItems:
        r"""A copy on :obj:`device`."""
        out = object.__new__(UserItems)
        for name, value in vars(self).items():
            value = value.to(device) if isinstance(value, Tensor) else value
            setattr(out, name, value)
        return out

    def intersect(self, other: UserItems) -> Tensor:
        r"""Which of these interactions :obj:`other` holds too, of shape
        :math:`(|\mathcal{E}|)`, in the order of :obj:`item`.

        Raises:
            ValueError: If :obj:`other` has other numbers of users or items.
        """
        check_instance('other', other, UserItems)
        sizes = [(each.num_users, each.num_items) for each in (self, other)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                "'other' must have the same numbers of users and items, "
                f'{sizes[0][0]} and {sizes[0][1]}, got {sizes[1][0]} and {sizes[1][1]}'
            )
        mine, theirs = self._keys(), other._keys().to(self.item.device)
        if theirs.numel() == 0:
            return torch.zeros_like(mine, dtype=torch.bool)
        at = torch.searchsorted(theirs, mine).clamp(max=theirs.numel() - 1)
        found: Tensor = theirs[at] == mine
        return found

    @property
    def pairs(self) -> Tensor:
        r"""The interactions, user ids above item ids, of shape
        :math:`(2, |\mathcal{E}|)`, sorted by user, then item."""
        users = torch.arange(self.num_users, device=self.degree.device)
        size = self.item.numel()  # Given it, this does not wait for the device.
        user = users.repeat_interleave(self.degree, output_size=size)
        return torch.stack([user, self.item])

    def _keys(self) -> Tensor:
        r"""A number per interaction, sorted."""
        user, item = self.pairs
        keys: Tensor = user * self.num_items + item
        return keys

    def lookup(self, users: Tensor) -> tuple[Tensor, Tensor]:
        r"""The items of a batch of users, as pairs (position in :obj:`users`,
        item), both of shape :math:`(\sum_{u} |\mathcal{N}(u)|)`.

        Raises:
            ValueError: If :obj:`users` holds no ids of users.
        """
        check_index('users', users, self.num_users, may_be_empty=True)
        return lookup_items(self.rowptr, self.item, users)

    def sample_negatives(
        self, users: Tensor, generator: Optional[torch.Generator] = None
    ) -> Tensor:
        r"""One item per user in :obj:`users`, uniform over the items that the user
        has *not* interacted with. Exact, in one pass: nothing is rejected.

        Args:
            users (torch.Tensor): User ids, of shape :math:`(B)`.
            generator (torch.Generator, optional): Where randomness comes from.
                (default: :obj:`None`, torch's own)

        Raises:
            ValueError: If :obj:`users` holds no ids of users, or a user has interacted
                with every item.
        """
        check_index('users', users, self.num_users, may_be_empty=True)
        check_generator(generator)
        missing = self.num_items - self.degree[users]
        if bool((missing == 0).any()):
            raise ValueError(
                f'user {int(users[missing == 0][0])} has interacted with all '
                f'{self.num_items} items: there is no negative to sample'
            )
        return self._sample_negatives(users, generator)

    def _sample_negatives(
        self, users: Tensor, generator: Optional[torch.Generator]
    ) -> Tensor:
        r"""The same for callers that have checked their input. It does not wait for
        the device."""
        missing = self.num_items - self.degree[users]
        draw = torch.rand(
            users.shape, dtype=torch.float64, device=users.device, generator=generator
        )
        rank = torch.minimum((draw * missing).long(), missing - 1)
        key = users * (self.num_items + 1) + rank
        below = torch.searchsorted(self._missing_below, key, right=True)
        return rank + below - self.rowptr[users]

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_users={self.num_users}, '
            f'num_items={self.num_items}, num_interactions={self.item.numel()})'
        )


def lookup_items(
    rowptr: Tensor, item: Tensor, users: Tensor, size: Optional[int] = None
) -> tuple[Tensor, Tensor]:
    r"""The items of users, as pairs (position in :obj:`users`, item), unchecked. Given
    their number, :obj:`size`, it does not wait for the device to count them."""
    degree = rowptr[users + 1] - rowptr[users]
    position = torch.arange(users.numel(), device=users.device)
    row = position.repeat_interleave(degree, output_size=size)
    first = rowptr[users] - (degree.cumsum(0) - degree)
    return row, item[torch.arange(row.numel(), device=row.device) + first[row]]
