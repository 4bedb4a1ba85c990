from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pyg_irllrec.training import TripletLoader
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


def test_an_epoch_depends_on_the_seed_and_its_number_alone(loader):
    def epoch(number):
        loader.set_epoch(number)
        return torch.cat(list(loader), dim=1)

    first, second = epoch(1), epoch(2)
    torch.rand(5)
    assert torch.equal(epoch(1), first) and not torch.equal(first, second)
    following = torch.cat(list(loader), dim=1)
    assert not torch.equal(following, first)  # Iterations count on.
    loader.seed = 8
    assert not torch.equal(epoch(1), first)


@pytest.mark.parametrize('batch_size', [1, 2, 3, 4, 5, 100])
def test_a_user_is_never_split(interactions, batch_size):
    items = UserItems(interactions, NUM_USERS + 1, NUM_ITEMS)  # One has none.
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


def test_whole_users_are_shuffled_into_batches_of_like_size(generator):
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
        ValueError, match="'batch_size' must be an integer of 1 or abov"
    ):
        TripletLoader(UserItems(torch.tensor([[0], [0]]), 1, 2), batch_size=2.5)
