from __future__ import annotations

import pytest
import torch

from pyg_irllrec.testing import BackboneTests
from pyg_irllrec.training import RankingLoader, evaluate
from pyg_irllrec.utils import UserItems

TAKEN = UserItems(BackboneTests().interactions, 6, 7)
LABEL = UserItems(torch.tensor([[0, 0, 1, 3], [4, 5, 1, 6]]), 6, 7)
META = torch.device('meta')


def test_labels_that_are_masked_are_counted():
    label = UserItems(torch.tensor([[0, 0], [0, 1]]), 1, 3)
    exclude = UserItems(torch.tensor([[0], [0]]), 1, 3)
    user, item = torch.tensor([[1.0, 0]]), torch.tensor([[2.0, 0], [1, 0], [0, 0]])
    with pytest.warns(UserWarning, match='1 of 2 held-out .* also train') as seen:
        assert evaluate(user, item, label, exclude, (2,))['recall@2'] == 0.5
        RankingLoader(label, exclude)
    assert [each.filename for each in seen] == [__file__] * 2
    with pytest.raises(ValueError, match='1 of 1 held-out interactions are also train'):
        evaluate(user, item, exclude, label, (2,))
    with pytest.raises(ValueError, match=r"'exclude' must have .*, 1 and 3, got 2"):
        RankingLoader(label, UserItems(torch.tensor([[0], [0]]), 2, 3))


def test_batches_of_every_device_have_the_same_users():
    loader = RankingLoader(LABEL, TAKEN)
    moved = loader._with(LABEL.to(META), TAKEN.to(META))
    assert len(loader) == len(moved) == 1 and moved.user.is_meta
    assert loader.user.is_cpu and loader._users_at_once() == 128
    assert moved._users_at_once() == 2**27 // 7
    for size in (1, 2, 3, 4):
        batches = list(RankingLoader(LABEL, TAKEN, size))
        assert torch.cat([batch.user for batch in batches]).equal(loader.user)
        for batch in batches:
            assert torch.stack(batch.label).equal(torch.stack(LABEL.lookup(batch.user)))
            expected = torch.stack(TAKEN.lookup(batch.user))
            assert torch.stack(batch.exclude).equal(expected)
