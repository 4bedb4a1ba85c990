from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import bpr_loss
from pyg_irllrec.nn import BPRLoss

TRIPLETS = torch.tensor([[0, 2, 0], [1, 3, 0], [4, 4, 2]])
USER, ITEM = torch.randn(3, 2), torch.randn(5, 2)


def test_is_the_functional():
    expected = bpr_loss(USER[[0, 2, 0]], ITEM[[1, 3, 0]], ITEM[[4, 4, 2]])
    assert torch.equal(BPRLoss()(USER, ITEM, TRIPLETS), expected)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"'triplets\[2\]' must hold ids of items"):
        BPRLoss()(USER, ITEM, TRIPLETS + torch.tensor([[0], [0], [1]]))
