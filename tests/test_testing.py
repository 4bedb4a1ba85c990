from __future__ import annotations

import pytest
import torch

from pyg_irllrec.testing import replay_draws


def test_draws_come_in_order():
    first, second = torch.randn(2), torch.randn(2, 3)
    with replay_draws([first, second]):
        assert torch.equal(torch.rand(2), first)
        assert torch.equal(torch.randn((2, 3), dtype=torch.float64), second.double())
    assert not torch.equal(torch.rand(2), first)


def test_a_draw_that_does_not_fit():
    with pytest.raises(AssertionError, match='no draw is left'), replay_draws([]):
        torch.rand(1)
    with pytest.raises(AssertionError, match=r'drew \(2,\), not \(1,\)'):
        with replay_draws([torch.ones(1)]):
            torch.rand(2)
    with pytest.raises(AssertionError, match='1 draws were not used'):
        with replay_draws([torch.ones(1)]):
            pass
