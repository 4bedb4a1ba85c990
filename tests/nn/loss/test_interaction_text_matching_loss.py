from __future__ import annotations

import pytest
import torch

from pyg_irllrec.functional import matching_loss
from pyg_irllrec.nn import InteractionTextMatchingLoss


def test_is_the_mean_matching_loss():
    student, teacher = torch.randn(2, 5, 4)
    loss = InteractionTextMatchingLoss()(student, teacher)
    torch.testing.assert_close(loss, matching_loss(student, teacher))


def test_wrong_tensors():
    with pytest.raises(ValueError, match="'teacher' must have the shape of 'student'"):
        InteractionTextMatchingLoss()(torch.randn(5, 4), torch.randn(5, 3))
