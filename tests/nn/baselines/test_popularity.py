from __future__ import annotations

import torch

from pyg_irllrec.nn import Popularity
from tests.nn.baselines.data import EVERYONE, ITEMS, PAIRS, USERS, X


def test_ranks_by_the_number_of_interactions():
    model = Popularity(USERS, ITEMS, torch.cat([PAIRS, PAIRS[:, :5]], dim=1))
    assert torch.equal(model.score(EVERYONE), X.sum(dim=0).expand(USERS, -1))
    assert not model.needs_calibration
    best = model.recommend([3], 2, exclude=PAIRS).item[0].tolist()
    order = (X.sum(dim=0) - 100 * X[3]).argsort(descending=True)
    assert X[3, best].sum() == 0
    assert X.sum(dim=0)[best].tolist() == X.sum(dim=0)[order[:2]].tolist()
