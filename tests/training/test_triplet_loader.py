from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pyg_irllrec.training import TripletLoader, triplet_loader
from pyg_irllrec.training._derive_seed import derive_seed
from pyg_irllrec.utils import UserItems
from tests.conftest import NUM_ITEMS, NUM_USERS


@pytest.fixture
def loader(interactions: Tensor) -> TripletLoader:
    items = UserItems(interactions, NUM_USERS, NUM_ITEMS)
    return TripletLoader(items, batch_size=4, seed=7)


def test_every_interaction_once_with_a_true_negative(loader, interactions):
    batches = list(loader)
    assert len(batches) == len(loader) == 3
    assert TripletLoader(loader.interactions).batch_size == 4096
    assert [tuple(batch.shape) for batch in batches] == [(3, 4), (3, 4), (3, 1)]
    triplets = torch.cat(batches, dim=1)
    pairs = set(map(tuple, interactions.t().tolist()))
    assert sorted(map(tuple, triplets[:2].t().tolist())) == sorted(pairs)
    assert not pairs & set(map(tuple, triplets[[0, 2]].t().tolist()))


def test_an_epoch_depends_only_on_the_seed_and_its_number(loader):
    def epoch(number):
        loader.set_epoch(number)
        return torch.cat(list(loader), dim=1)

    first, second = epoch(1), epoch(2)
    torch.rand(5)
    assert torch.equal(epoch(1), first) and not torch.equal(first, second)
    following = torch.cat(list(loader), dim=1)
    assert not torch.equal(following, first)  # Each iteration is the next epoch.
    loader.seed = 8
    assert not torch.equal(epoch(1), first)


@pytest.mark.parametrize('batch_size', [1, 2, 3, 4, 5, 100])
def test_a_user_is_never_split(interactions, batch_size):
    items = UserItems(
        interactions, NUM_USERS + 1, NUM_ITEMS
    )  # One user has no interactions.
    loader = TripletLoader(items, batch_size, seed=7, batch_by='user')
    for _ in range(5):
        batches = list(loader)
        assert len(batches) == len(loader) == min(-(-9 // batch_size), 5)
        seen = [user for batch in batches for user in batch[0].unique().tolist()]
        assert sorted(seen) == [0, 1, 2, 3, 4]
        triplets = torch.cat(batches, dim=1)
        pairs = set(map(tuple, interactions.t().tolist()))
        assert sorted(map(tuple, triplets[:2].t().tolist())) == sorted(pairs)
        assert not pairs & set(map(tuple, triplets[[0, 2]].t().tolist()))


def test_whole_users_are_shuffled_into_batches_of_similar_size(generator):
    degree = torch.randint(1, 20, (300,), generator=generator)
    user = torch.arange(300).repeat_interleave(degree)
    item = torch.arange(user.numel()) - (degree.cumsum(0) - degree)[user]
    items = UserItems(torch.stack([user, item]), 300, 40)
    loader = TripletLoader(items, 100, batch_by='user')
    epochs = [list(loader), list(loader)]
    for epoch in epochs:
        sizes = [batch.size(1) for batch in epoch]
        assert len(sizes) == len(loader) == -(-user.numel() // 100)
        assert max(sizes) < 100 + 20 and min(sizes[:-1]) > 100 - 40
    assert not torch.equal(*(torch.cat(epoch, dim=1)[0] for epoch in epochs))
    loader.set_epoch(1)
    assert torch.equal(torch.cat(list(loader), 1), torch.cat(epochs[1], 1))


def test_there_is_room_for_larger_batches():
    loader = random_loader('user')
    assert loader.room == (0, 0)
    batches = list(loader)
    sizes = [batch.size(1) for batch in batches]
    users = [batch[0].unique().numel() for batch in batches]
    room = tuple(most + most // 16 for most in (max(sizes), max(users)))
    assert loader.room == room and max(sizes) >= 16
    for _ in range(9):
        before = loader.room
        for batch in loader:
            assert batch.size(1) <= loader.room[0]
            assert batch[0].unique().numel() <= loader.room[1]
        assert loader.room[0] >= before[0] and loader.room[1] >= before[1]
    assert random_loader('interaction').room == (60, 60)


def test_wrong_interactions():
    with pytest.raises(ValueError, match="'interactions' must hold at least one"):
        TripletLoader(UserItems(torch.empty(2, 0).long(), 2, 2))
    with pytest.raises(ValueError, match="'interactions' must be"):
        TripletLoader([[0], [0]])
    with pytest.raises(ValueError, match='user 1 has all 2'):
        TripletLoader(UserItems(torch.tensor([[0, 1, 1], [0, 0, 1]]), 2, 2))
    with pytest.raises(ValueError, match="'batch_by' must be one of 'interaction', '"):
        TripletLoader(UserItems(torch.tensor([[0], [0]]), 1, 2), batch_by='users')
    with pytest.raises(
        ValueError, match="'batch_size' must be an integer of at least 1"
    ):
        TripletLoader(UserItems(torch.tensor([[0], [0]]), 1, 2), batch_size=2.5)


WAITS = (
    *('_local_scalar_dense', 'nonzero', 'item', 'masked_select', 'unique'),
    *('is_nonzero', '_unique2', 'equal'),
)


class WaitCounter(TorchDispatchMode):
    """Count operators that wait for a GPU, because the host reads values or sizes."""

    def __init__(self, counts: dict[str, int]) -> None:
        super().__init__()
        self.counts = counts

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        sized = (kwargs or {}).get('output_size') is not None
        if name in WAITS or (name == 'repeat_interleave' and not sized):
            self.counts[name] = self.counts.get(name, 0) + 1
        return func(*args, **(kwargs or {}))


def random_loader(batch_by: str) -> TripletLoader:
    """Return five thousand interactions in batches of sixty."""
    generator = torch.Generator().manual_seed(5)
    user = torch.randint(0, 90, (5000,), generator=generator)
    item = torch.randint(0, 150, (5000,), generator=generator)
    return TripletLoader(UserItems(torch.stack([user, item]), 90, 150), 60, 3, batch_by)


def test_draws_of_a_seed_on_a_cpu():
    """Stored results depend on them."""
    loader = random_loader('interaction')
    generator = torch.Generator().manual_seed(derive_seed(3, 0, 'triplets'))
    pairs = loader.interactions.pairs
    pairs = pairs[:, torch.randperm(pairs.size(1), generator=generator)]
    negative = loader.interactions.sample_negatives(pairs[0], generator)
    expected = torch.cat([pairs, negative[None]])
    assert torch.equal(torch.cat(list(loader), dim=1), expected)


@pytest.mark.parametrize('batch_by', ['interaction', 'user'])
def test_an_epoch_is_drawn_in_chunks_that_are_bit_equal_to_the_whole(
    batch_by, monkeypatch
):
    whole = list(random_loader(batch_by))
    monkeypatch.setattr(triplet_loader, '_CHUNK', 200)  # Three batches.
    drawn = []
    sample = UserItems._sample_negatives

    def count(self, users, generator):
        drawn.append(users.numel())
        return sample(self, users, generator)

    monkeypatch.setattr(UserItems, '_sample_negatives', count)
    chunks = list(random_loader(batch_by))
    assert [batch.shape for batch in chunks] == [batch.shape for batch in whole]
    assert all(map(torch.equal, chunks, whole))
    assert max(drawn) <= 200 + 150 and len(drawn) == -(-len(whole) // 3)


def test_a_copy_on_another_device_continues_at_the_same_epoch():
    loader = random_loader('interaction')
    loader.set_epoch(4)
    meta = loader.interactions.to(torch.device('meta'))
    moved = loader._with(meta)  # As in to().
    assert moved.device.type == 'meta' and loader.device.type == 'cpu'
    assert (moved.epoch, moved.batch_size, moved.seed) == (4, 60, 3)
    assert len(moved) == len(loader)
    assert all(map(torch.equal, loader.to('cpu'), loader))


@pytest.mark.parametrize('batch_by', ['interaction', 'user'])
def test_batches_wait_for_the_device_once_per_epoch(batch_by, monkeypatch):
    loader = random_loader(batch_by)
    monkeypatch.setattr(triplet_loader, '_CHUNK', 200)
    counts = {}
    with WaitCounter(counts):
        batches = list(loader)
    # For whole users: the users with interactions, and the starts of batches.
    most = {'interaction': 0, 'user': 3}[batch_by]
    assert len(batches) > 50 and sum(counts.values()) <= most, counts


def test_batches_are_sent_while_the_previous_one_is_read():
    loader, events = random_loader('interaction'), []

    def send(batch):
        events.append(f'send {len(events)}')
        return batch + 1

    plain = [batch + 1 for batch in loader]
    loader.set_epoch(0)
    read = []
    for batch in loader.ahead(send):
        read.append(batch)
        events.append('read')
    assert all(map(torch.equal, read, plain)) and len(read) == len(plain)
    assert [each.split()[0] for each in events[:5]] == [
        *('send', 'send', 'read', 'send', 'read')
    ]
    assert events[-2:] == ['read', 'read'] and loader._send is None
    with pytest.raises(ValueError, match="'send' must be a function of a batch, suc"):
        loader.ahead(None)
