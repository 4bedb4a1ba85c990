from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pyg_irllrec.training._derive_seed import derive_seed
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import check_count, check_seed


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

    Raises:
        ValueError: If there are no interactions, a user has interacted with every
            item, or a number is out of range.
    """

    def __init__(
        self, interactions: UserItems, batch_size: int = 4096, seed: int = 0
    ) -> None:
        check_instance('interactions', interactions, UserItems)
        check_count('batch_size', batch_size)
        check_seed(seed)
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
        self.epoch = 0
        users = torch.arange(interactions.num_users, device=interactions.degree.device)
        self._user = users.repeat_interleave(interactions.degree)

    def set_epoch(self, epoch: int) -> None:
        r"""Sets the epoch that the next iteration draws; without it, iterations
        count on."""
        self.epoch = epoch

    @property
    def sampler(self) -> TripletLoader:
        r"""Itself: trainers look for a :obj:`sampler` to call :meth:`set_epoch`."""
        return self

    def __len__(self) -> int:
        return -(-self._user.numel() // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        device = self._user.device
        generator = torch.Generator(device).manual_seed(
            derive_seed(self.seed, self.epoch, 'triplets')
        )
        order = torch.randperm(self._user.numel(), generator=generator, device=device)
        user = self._user[order]
        negative = self.interactions.sample_negatives(user, generator)
        triplets = torch.stack([user, self.interactions.item[order], negative])
        self.epoch += 1
        yield from triplets.split(self.batch_size, dim=1)
