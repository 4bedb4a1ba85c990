from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import edge_dropout


def test_drops_the_expected_share_and_keeps_other_weights(generator):
    weight = torch.rand(2000) + 0.1
    out = edge_dropout(weight, 0.3, generator)
    kept = out != 0
    assert 0.65 < kept.float().mean() < 0.75
    assert torch.equal(out[kept], weight[kept])
    again = edge_dropout(weight, 0.3, torch.Generator().manual_seed(0))
    assert torch.equal(again, out)


def test_a_probability_of_zero_draws_nothing(generator):
    weight, state = torch.rand(9), generator.get_state()
    assert edge_dropout(weight, 0.0, generator) is weight
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize('p', [1.0, -0.1, float('nan')])
def test_wrong_probability(p):
    with pytest.raises(ValueError, match="'p' must be at least 0 and below 1"):
        edge_dropout(torch.ones(3), p)
