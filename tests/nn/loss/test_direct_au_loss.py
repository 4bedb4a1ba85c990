from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import alignment_uniformity_loss
from pyg_irllrec.nn import DirectAULoss

TRIPLETS = torch.tensor([[0, 2, 0], [1, 3, 0], [4, 4, 4]])
USER, ITEM = torch.randn(3, 2), torch.randn(5, 2)


def test_is_the_functional():
    loss = DirectAULoss(0.3)
    expected = alignment_uniformity_loss(USER, ITEM, TRIPLETS, uniformity_weight=0.3)
    assert torch.equal(loss(USER, ITEM, TRIPLETS), expected)
    assert repr(loss) == 'DirectAULoss(uniformity_weight=0.3)'


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'uniformity_weight' must be at least 0"):
        DirectAULoss(-1.0)
    with pytest.raises(ValueError, match="'triplets' must have shape"):
        DirectAULoss()(USER, ITEM, TRIPLETS[:2])
