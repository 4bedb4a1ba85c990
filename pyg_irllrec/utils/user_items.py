from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.adjacency import check_edge_index, check_node_ids
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_count, check_generator, check_index
from pyg_irllrec.utils.edge_store import plain


class UserItems:
    r"""The sorted items of every user, in :math:`O(|\mathcal{E}|)` memory. It looks up
    items and samples negatives for a batch of users without loops in Python.

    Args:
        interactions (torch.Tensor): User ids and item ids, both zero-based, of shape
            :math:`(2, |\mathcal{E}|)`, in any order. Repeats are merged.
        num_users (int): The number of users.
        num_items (int): The number of items.

    Raises:
        ValueError: If the shape is invalid or an id is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.utils import UserItems
        >>> interactions = torch.tensor([[0, 0, 1], [2, 0, 1]])
        >>> items = UserItems(interactions, num_users=2, num_items=3)
        >>> items.lookup(torch.tensor([0]))
        (tensor([0, 0]), tensor([0, 2]))
        >>> items.sample_negatives(torch.tensor([0, 0]))
        tensor([1, 1])
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
        # For each interaction, the number of the user's missing items with smaller ids,
        # plus an offset per user that sorts all users into one array. A search in it
        # converts "the r-th missing item" to an item.
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
        r"""Whether each of these interactions is also in :obj:`other`, of shape
        :math:`(|\mathcal{E}|)`, in the order of :obj:`pairs`.

        Args:
            other (UserItems): The interactions to compare with.

        Raises:
            ValueError: If the numbers of users or items of :obj:`other` differ.
        """
        check_instance('other', other, UserItems)
        sizes = [(each.num_users, each.num_items) for each in (self, other)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"'other' must have {sizes[0][0]} users and {sizes[0][1]} items, got "
                f'{sizes[1][0]} and {sizes[1][1]}'
            )
        mine, theirs = self._keys(), other._keys().to(self.item.device)
        if theirs.numel() == 0:
            return torch.zeros_like(mine, dtype=torch.bool)
        at = torch.searchsorted(theirs, mine).clamp(max=theirs.numel() - 1)
        found: Tensor = theirs[at] == mine
        return found

    @property
    def pairs(self) -> Tensor:
        r"""The interactions as user ids and item ids, of shape
        :math:`(2, |\mathcal{E}|)`, sorted by user, then item."""
        users = torch.arange(self.num_users, device=self.degree.device)
        size = self.item.numel()  # A known size avoids a wait for the device.
        user = users.repeat_interleave(self.degree, output_size=size)
        return torch.stack([user, self.item])

    def _keys(self) -> Tensor:
        r"""One sorted number per interaction."""
        user, item = self.pairs
        keys: Tensor = user * self.num_items + item
        return keys

    def lookup(self, users: Tensor) -> tuple[Tensor, Tensor]:
        r"""Look up the items of a batch of users.

        Args:
            users (torch.Tensor): User ids, of shape :math:`(B)`.

        Returns:
            Positions in :obj:`users`, and the item of each position, both of shape
            :math:`(\sum_{u} |\mathcal{N}(u)|)`.

        Raises:
            ValueError: If :obj:`users` is not a vector of valid user ids.
        """
        check_index('users', users, self.num_users, may_be_empty=True)
        return lookup_items(self.rowptr, self.item, users)

    def sample_negatives(
        self, users: Tensor, generator: Optional[torch.Generator] = None
    ) -> Tensor:
        r"""Sample one item for each user, uniformly from the items that the user has
        *not* interacted with. The sampling is exact and needs no rejection.

        Args:
            users (torch.Tensor): User ids, of shape :math:`(B)`.
            generator (torch.Generator, optional): The source of randomness.
                (default: :obj:`None`, torch's own)

        Returns:
            The items, of shape :math:`(B)`.

        Raises:
            ValueError: If :obj:`users` is not a vector of valid user ids, or a user has
                interacted with every item.
        """
        check_index('users', users, self.num_users, may_be_empty=True)
        check_generator(generator)
        missing = self.num_items - self.degree[users]
        if bool((missing == 0).any()):
            raise ValueError(
                f"'users' must have items to sample from, got user "
                f'{int(users[missing == 0][0])}, who has interacted with all '
                f'{self.num_items} items'
            )
        return self._sample_negatives(users, generator)

    def _sample_negatives(
        self, users: Tensor, generator: Optional[torch.Generator]
    ) -> Tensor:
        r"""The same without checks and without a wait for the device."""
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
    r"""The items of users, as positions in :obj:`users` and items, without checks. If
    their number :obj:`size` is given, nothing waits for the device to count them."""
    degree = rowptr[users + 1] - rowptr[users]
    position = torch.arange(users.numel(), device=users.device)
    row = position.repeat_interleave(degree, output_size=size)
    first = rowptr[users] - (degree.cumsum(0) - degree)
    return row, item[torch.arange(row.numel(), device=row.device) + first[row]]
