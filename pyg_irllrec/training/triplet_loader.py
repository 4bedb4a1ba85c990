from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Union

import torch
from torch import Tensor

from pyg_irllrec.training._derive_seed import derive_seed
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_choice, check_count, check_seed


class TripletLoader:
    r"""Shuffled batches of triplets for one epoch after the other: every
    interaction once per epoch, each with a fresh negative that its user has not
    interacted with. Nothing loops over interactions.

    What an epoch draws depends on :obj:`seed` and the number of the epoch alone, so
    that a resumed run draws what an uninterrupted one would have.

    Args:
        interactions (UserItems): The training interactions.
        batch_size (int): The number of triplets per batch. (default: :obj:`4096`)
        seed (int): The seed. (default: :obj:`0`)
        batch_by (str): What is shuffled. (default: :obj:`"interaction"`)

            - :obj:`"interaction"` mixes the interactions of all users.
            - :obj:`"user"` keeps all interactions of a user in one batch, as a loss
              that ranks all items for each user of a batch wants it, see
              :class:`~pyg_irllrec.nn.SoftmaxLoss`. There are as many batches, of
              :obj:`batch_size` triplets or fewer on average; that of a user with more
              is larger.

    Raises:
        ValueError: If there are no interactions, a user has interacted with every
            item, or a number is out of range.
    """

    def __init__(
        self,
        interactions: UserItems,
        batch_size: int = 4096,
        seed: int = 0,
        batch_by: str = 'interaction',
    ) -> None:
        check_instance('interactions', interactions, UserItems)
        check_count('batch_size', batch_size)
        check_seed(seed)
        check_choice('batch_by', batch_by, ('interaction', 'user'))
        if interactions.item.numel() == 0:
            raise ValueError(
                "'interactions' must hold at least one interaction, got none"
            )
        full = (interactions.degree == interactions.num_items).nonzero().flatten()
        if full.numel() > 0:
            raise ValueError(
                "'interactions' must leave every user an item to sample as negative, "
                f'but user {int(full[0])} has all {interactions.num_items}'
            )
        self.interactions = interactions
        self.batch_size = batch_size
        self.seed = seed
        self.batch_by = batch_by
        self.epoch = 0
        self._user = interactions.pairs[0]

    def set_epoch(self, epoch: int) -> None:
        r"""Sets the epoch that the next iteration draws; without it, iterations
        count on."""
        self.epoch = epoch

    @property
    def sampler(self) -> TripletLoader:
        r"""Itself: trainers look for a :obj:`sampler` to call :meth:`set_epoch`."""
        return self

    def __len__(self) -> int:
        num_batches = -(-self._user.numel() // self.batch_size)
        if self.batch_by == 'interaction':
            return num_batches
        return min(num_batches, int(self.interactions.degree.count_nonzero()))

    def __iter__(self) -> Iterator[Tensor]:
        device = self._user.device
        generator = torch.Generator(device).manual_seed(
            derive_seed(self.seed, self.epoch, 'triplets')
        )
        sizes: Union[int, list[int]] = self.batch_size
        if self.batch_by == 'user':
            user, item, sizes = self._whole_users(generator)
        else:
            order = torch.randperm(
                self._user.numel(), generator=generator, device=device
            )
            user, item = self._user[order], self.interactions.item[order]
        negative = self.interactions.sample_negatives(user, generator)
        self.epoch += 1
        yield from torch.stack([user, item, negative]).split(sizes, dim=1)

    def _whole_users(
        self, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, list[int]]:
        r"""All interactions, those of a user together, and how many each batch has.
        The number of batches is that of every epoch, and none is empty."""
        users = self.interactions.degree.nonzero().flatten()
        order = torch.randperm(
            users.numel(), generator=generator, device=generator.device
        )
        users = users[order]
        row, item = self.interactions.lookup(users)
        degree = self.interactions.degree[users]
        first = degree.cumsum(0) - degree
        num_batches = len(self)
        batch = torch.arange(num_batches, device=users.device)
        # A batch starts at the first user at or after its share of the interactions,
        # behind the start of the one before, and leaves a user to each one after.
        start = torch.searchsorted(first, batch * row.numel() // num_batches)
        start = (start - batch).cummax(0).values + batch
        start = torch.minimum(start, users.numel() - num_batches + batch)
        bounds = [*first[start].tolist(), row.numel()]
        sizes = [end - begin for begin, end in pairwise(bounds)]
        return users[row], item, sizes
