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
"""The number of triplets that are drawn at once, since an epoch may not fit."""


class TripletLoader:
    r"""Shuffled batches of triplets. Each epoch has every interaction once, with a new
    negative item that its user has not interacted with. Sampling has no loop over
    interactions.

    Batches are drawn on the device of the interactions, a CPU or a GPU (see
    :meth:`to`), about a million triplets at a time. The triplets of an epoch depend
    only on :obj:`seed`, the number of the epoch and the type of the device. A resumed
    run therefore draws the same triplets as an uninterrupted one. A CPU and a GPU have
    different generators: their draws have the same distribution but other values.

    Args:
        interactions (UserItems): The training interactions.
        batch_size (int): The number of triplets per batch. (default: :obj:`4096`)
        seed (int): The seed. (default: :obj:`0`)
        batch_by (str): The unit that is shuffled. (default: :obj:`"interaction"`)

            - :obj:`"interaction"` mixes the interactions of all users.
            - :obj:`"user"` keeps all interactions of a user in one batch. Use it with a
              loss that ranks all items for each user of a batch, such as
              :class:`~pyg_irllrec.nn.SoftmaxLoss`. The number of batches is the same,
              unless there are fewer users. Batches have :obj:`batch_size` triplets or
              fewer on average; a user with more gets a larger batch.

    Raises:
        ValueError: If there are no interactions, a user has interacted with every
            item, or a number is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.training import TripletLoader
        >>> from pyg_irllrec.utils import UserItems
        >>> interactions = torch.tensor([[0, 0, 1], [2, 0, 1]])
        >>> items = UserItems(interactions, num_users=2, num_items=3)
        >>> [triplets.shape for triplets in TripletLoader(items, batch_size=2)]
        [torch.Size([3, 2]), torch.Size([3, 1])]
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
                "'interactions' must leave every user an item to sample as a negative, "
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
        r"""The device on which batches are drawn."""
        return self._user.device

    def to(self, device: Union[str, torch.device]) -> TripletLoader:
        r"""Return a copy that draws on :obj:`device`, starting at the same epoch.

        Args:
            device (str or torch.device): The device.

        Raises:
            ValueError: If there is no such device.
        """
        return self._with(self.interactions.to(as_device(device)))

    def _with(self, interactions: UserItems) -> TripletLoader:
        r"""Return a copy over the same interactions on another device."""
        out = copy.copy(self)
        out.interactions = interactions
        out._user = _users(interactions)
        return out

    def ahead(self, send: Callable[[Tensor], Tensor]) -> TripletLoader:
        r"""Return a copy that passes each batch through :obj:`send` while the previous
        batch is trained on. An example is
        :meth:`~pyg_irllrec.nn.Recommender.prefetch` of a model.

        Args:
            send (callable): A function of a batch that returns its replacement.

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
        r"""The largest numbers of triplets and of users in a batch. For batches of
        whole users they are estimates, which grow as epochs are drawn: (0, 0) before
        the first epoch, and with a margin afterwards."""
        if self.batch_by == 'user':
            return self._room
        size = min(self.batch_size, self._user.numel())
        return size, min(size, self.interactions.num_users)

    def _grow(self, num_triplets: int, num_users: int) -> None:
        r"""Make room for a batch of this size, and a sixteenth more for larger batches
        of later epochs."""
        triplets, users = self._room
        if num_triplets > triplets:
            triplets = min(num_triplets + num_triplets // 16, self._user.numel())
        if num_users > users:
            users = min(num_users + num_users // 16, self.interactions.num_users)
        self._room = triplets, users

    def set_epoch(self, epoch: int) -> None:
        r"""Set the epoch that the next iteration draws. Otherwise, each iteration draws
        the next epoch."""
        self.epoch = epoch

    @property
    def sampler(self) -> TripletLoader:
        r"""The loader itself, since trainers call :meth:`set_epoch` of a
        :obj:`sampler`."""
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
        r"""Yield all interactions in random order."""
        num = self._user.numel()
        order = torch.randperm(num, generator=generator, device=self.device)
        for part in order.split(self._batches_per_chunk * self.batch_size):
            yield self._user[part], self.interactions.item[part], self.batch_size

    @property
    def _batches_per_chunk(self) -> int:
        return max(_CHUNK // self.batch_size, 1)

    def _whole_users(self, generator: torch.Generator) -> Iterator[_Chunk]:
        r"""Yield all interactions, those of a user together, with the sizes of their
        batches. Every epoch has the same number of batches, and none is empty."""
        users = self.interactions.degree.nonzero().flatten()
        order = torch.randperm(users.numel(), generator=generator, device=self.device)
        users = users[order]
        degree = self.interactions.degree[users]
        first = degree.cumsum(0) - degree
        num, num_batches = self._user.numel(), len(self)
        batch = torch.arange(num_batches, device=self.device)
        # A batch starts at the first user at or after its share of the interactions,
        # after the start of the previous batch, and leaves a user for each later one.
        start = torch.searchsorted(first, batch * num // num_batches)
        start = (start - batch).cummax(0).values + batch
        start = torch.minimum(start, users.numel() - num_batches + batch)
        # This waits for the device once per epoch, as nonzero() above does.
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
"""Users, their items, and the size of each batch."""


def _users(interactions: UserItems) -> Tensor:
    r"""Return the user of each interaction, in memory of its own: a view would keep
    that of the items, too."""
    return interactions.pairs[0].clone()


def _ahead(
    batches: Iterator[Tensor], send: Callable[[Tensor], Tensor]
) -> Iterator[Tensor]:
    r"""Yield batches, each after the next one has been sent."""
    waiting = send(next(batches))
    for batch in batches:
        following = send(batch)
        yield waiting
        waiting = following
    yield waiting
