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


def test_wrong_interactions():
    with pytest.raises(ValueError, match="'interactions' must hold at least one"):
        TripletLoader(UserItems(torch.empty(2, 0).long(), 2, 2))
    with pytest.raises(ValueError, match="'interactions' must be"):
        TripletLoader([[0], [0]])
    with pytest.raises(ValueError, match='user 1 has all 2'):
        TripletLoader(UserItems(torch.tensor([[0, 1, 1], [0, 0, 1]]), 2, 2))
    with pytest.raises(
        ValueError, match="'batch_size' must be an integer of 1 or abov"
    ):
        TripletLoader(UserItems(torch.tensor([[0], [0]]), 1, 2), batch_size=2.5)
