from __future__ import annotations

import torch

from pyg_irllrec.nn import LightGCN, Recommendation, Recommender
from pyg_irllrec.testing import BackboneTests


def test_items_and_scores_by_name_and_in_order():
    model = Recommender(LightGCN(6, 7, 4), BackboneTests().edge_index)
    out = model.recommend(torch.tensor([3, 0]), k=2)
    assert isinstance(out, Recommendation)
    item, score = out
    assert out.item is item and out.score is score
    assert item.shape == score.shape == (2, 2) and item.dtype == torch.long
    users = torch.tensor([3, 0]).repeat_interleave(2)
    pairs = torch.stack([users, item.flatten()])
    torch.testing.assert_close(model(pairs), score.flatten())
    assert (score[:, 0] >= score[:, 1]).all()
