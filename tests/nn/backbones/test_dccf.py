from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import DCCF
from pyg_irllrec.testing import BackboneTests


class TestDCCF(BackboneTests):
    def build(self, num_users, num_items, embedding_dim):
        return DCCF(
            num_users,
            num_items,
            embedding_dim=embedding_dim,
            num_layers=2,
            num_intents=3,
        )


def test_repeated_triplets_and_negative_items_do_not_count():
    tests = TestDCCF()
    model = tests.backbone()
    output = model(tests.edge_index)
    twice = torch.cat([tests.triplets, tests.triplets.flip(1)], dim=1)
    twice[2] = 3
    once, again = (
        model.auxiliary_loss(output, triplets)['contrast']
        for triplets in (tests.triplets, twice)
    )
    torch.testing.assert_close(once, again)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'num_intents': 0}, "'num_intents' must be an integer of at least 1, got 0"),
        ({'temperature': 0.0}, "'temperature' must be at least 1e-30, got 0.0"),
        ({'contrast_weight': -1}, "'contrast_weight' must be at least 0, got -1"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        DCCF(6, 7, **change)
