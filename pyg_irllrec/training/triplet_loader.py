from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Optional, Union

import torch
from torch import Tensor

from pyg_irllrec.training._derive_seed import derive_seed
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.as_device import as_device
from pyg_irllrec.utils.checks import check_choice, check_count, check_seed
from pyg_irllrec.utils.user_items import lookup_items

_CHUNK = 2**20
"""How many triplets are drawn at once: those of an epoch need not fit."""


class TripletLoader:
    r"""Shuffled batches of triplets for one epoch after the other: every
    interaction once per epoch, each with a fresh negative that its user has not
    interacted with. Nothing loops over interactions.

    Batches are drawn where the interactions lie, on a GPU as on a CPU (:meth:`to`),
    about a million triplets at a time. What an epoch draws depends on :obj:`seed`, the
    number of the epoch and the kind of device alone, so that a resumed run draws what
    an uninterrupted one would have. The generators of a CPU and of a GPU differ: their
    draws are alike in distribution, not in numbers.

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
        self._room = 0, 0
        self._user = _users(interactions)
        self._send: Optional[Callable[[Tensor], Tensor]] = None

    @property
    def device(self) -> torch.device:
        r"""Where batches are drawn."""
        return self._user.device

    def to(self, device: Union[str, torch.device]) -> TripletLoader:
        r"""A copy that draws on :obj:`device`, from the same epoch on.

        Args:
            device (str or torch.device): The device.

        Raises:
            ValueError: If there is no such device.
        """
        return self._with(self.interactions.to(as_device(device)))

    def _with(self, interactions: UserItems) -> TripletLoader:
        r"""A copy over the same interactions on another device."""
        out = copy.copy(self)
        out.interactions = interactions
        out._user = _users(interactions)
        return out

    def ahead(self, send: Callable[[Tensor], Tensor]) -> TripletLoader:
        r"""A copy whose batches pass through :obj:`send` while the batch before is
        trained on, such as :meth:`~pyg_irllrec.nn.Recommender.prefetch` of a model.

        Args:
            send (callable): A function of a batch that returns what is iterated over
                in its place.

        Raises:
            ValueError: If :obj:`send` cannot be called.
        """
        if not callable(send):
            raise ValueError(
                "'send' must be a function of a batch, such as model.prefetch, got "
                f'{type(send).__name__}'
            )
        out = copy.copy(self)
        out._send = send
        return out

    @property
    def room(self) -> tuple[int, int]:
        r"""How many triplets and how many users a batch has at most. Of whole users
        that shows as epochs are drawn: it is (0, 0) before the first one, and grows,
        ahead of need, with one that has a larger batch."""
        if self.batch_by == 'user':
            return self._room
        size = min(self.batch_size, self._user.numel())
        return size, min(size, self.interactions.num_users)

    def _grow(self, num_triplets: int, num_users: int) -> None:
        r"""Make room for a batch of so many. A sixteenth more is for larger ones of
        later epochs: few batches differ by as much."""
        triplets, users = self._room
        if num_triplets > triplets:
            triplets = min(num_triplets + num_triplets // 16, self._user.numel())
        if num_users > users:
            users = min(num_users + num_users // 16, self.interactions.num_users)
        self._room = triplets, users

    def set_epoch(self, epoch: int) -> None:
        r"""Set the epoch that the next iteration draws; without it, iterations
        count on."""
        self.epoch = epoch

    @property
    def sampler(self) -> TripletLoader:
        r"""Itself, as trainers call :meth:`set_epoch` of a :obj:`sampler`."""
        return self

    def __len__(self) -> int:
        num_batches = -(-self._user.numel() // self.batch_size)
        if self.batch_by == 'interaction':
            return num_batches
        return min(num_batches, int(self.interactions.degree.count_nonzero()))

    def __iter__(self) -> Iterator[Tensor]:
        return self._draw() if self._send is None else _ahead(self._draw(), self._send)

    def _draw(self) -> Iterator[Tensor]:
        generator = torch.Generator(self.device).manual_seed(
            derive_seed(self.seed, self.epoch, 'triplets')
        )
        self.epoch += 1
        draw = self._mixed if self.batch_by == 'interaction' else self._whole_users
        for user, item, sizes in draw(generator):
            negative = self.interactions._sample_negatives(user, generator)
            yield from torch.stack([user, item, negative]).split(sizes, dim=1)

    def _mixed(self, generator: torch.Generator) -> Iterator[_Chunk]:
        r"""All interactions in random order."""
        num = self._user.numel()
        order = torch.randperm(num, generator=generator, device=self.device)
        for part in order.split(self._batches_per_chunk * self.batch_size):
            yield self._user[part], self.interactions.item[part], self.batch_size

    @property
    def _batches_per_chunk(self) -> int:
        return max(_CHUNK // self.batch_size, 1)

    def _whole_users(self, generator: torch.Generator) -> Iterator[_Chunk]:
        r"""All interactions, those of a user together, and how many each batch has.
        The number of batches is that of every epoch, and none is empty."""
        users = self.interactions.degree.nonzero().flatten()
        order = torch.randperm(users.numel(), generator=generator, device=self.device)
        users = users[order]
        degree = self.interactions.degree[users]
        first = degree.cumsum(0) - degree
        num, num_batches = self._user.numel(), len(self)
        batch = torch.arange(num_batches, device=self.device)
        # A batch starts at the first user at or after its share of the interactions,
        # behind the start of the one before, and leaves a user to each one after.
        start = torch.searchsorted(first, batch * num // num_batches)
        start = (start - batch).cummax(0).values + batch
        start = torch.minimum(start, users.numel() - num_batches + batch)
        # It waits for the device, once per epoch, as nonzero() above does.
        starts, firsts = torch.stack([start, first[start]]).tolist()
        starts.append(users.numel())
        firsts.append(num)
        sizes, numbers = (
            [after - before for before, after in pairwise(each)]
            for each in (firsts, starts)
        )
        self._grow(max(sizes), max(numbers))
        rowptr, items = self.interactions.rowptr, self.interactions.item
        for low in range(0, num_batches, self._batches_per_chunk):
            high = min(low + self._batches_per_chunk, num_batches)
            part = users[starts[low] : starts[high]]
            size = firsts[high] - firsts[low]
            row, item = lookup_items(rowptr, items, part, size)
            yield part[row], item, sizes[low:high]


_Chunk = tuple[Tensor, Tensor, Union[int, list[int]]]
"""Users, their items, and how many of them each batch has."""


def _users(interactions: UserItems) -> Tensor:
    r"""The user of each interaction, without the memory of the items beside them."""
    return interactions.pairs[0].clone()


def _ahead(
    batches: Iterator[Tensor], send: Callable[[Tensor], Tensor]
) -> Iterator[Tensor]:
    r"""Batches that were sent before the one before them is read."""
    waiting = send(next(batches))
    for batch in batches:
        following = send(batch)
        yield waiting
        waiting = following
    yield waiting
