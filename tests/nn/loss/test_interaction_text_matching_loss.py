from __future__ import annotations

import torch

from pyg_irllrec.functional import matching_loss
from pyg_irllrec.nn import InteractionTextMatchingLoss


def test_is_the_mean_matching_loss():
    student, teacher = torch.randn(2, 5, 4)
    loss = InteractionTextMatchingLoss()(student, teacher)
    torch.testing.assert_close(loss, matching_loss(student, teacher))
