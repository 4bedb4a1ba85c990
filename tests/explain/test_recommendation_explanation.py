from __future__ import annotations

import pytest
import torch

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.explain import IntentExplainer
from pyg_irllrec.nn import LightGCN, Recommender
from pyg_irllrec.utils import bipartite_edge_index
from tests.explain.data import TRAIN, build, graph


def test_a_recommendation():
    explain = IntentExplainer(build(), graph(), num_nearest=1)
    found = explain.recommendation(0, 2)
    assert found.user.id == 'ann' and found.item.text == 'space love'
    # Item 4 scores 12, this one 8. Items 0 and 1 are training items of the user.
    assert found.score == 8 and found.rank == 2
    ((similar, cosine),) = found.similar
    assert similar.text == 'space one' and cosine == pytest.approx(2 / 5**0.5)
    # A training item has no rank, and is not similar to itself.
    own = explain.recommendation(0, 0)
    assert own.rank == 0 and [each.node for each, _ in own.similar] == [1]
    # A repeated pair is one item, and excluded items have no rank.
    exclude = torch.cat([TRAIN, torch.tensor([[0], [4]])], dim=1)
    found = IntentExplainer(build(), graph(), exclude=exclude).recommendation(0, 2)
    assert found.rank == 1 and [each.node for each, _ in found.similar] == [0, 1]
    # A user without interactions.
    assert explain.recommendation(3, 0).similar == []


def test_ranks_agree_with_recommend():
    data = SyntheticIntents(40, 60, num_intents=4)[0]
    edges = data['user', 'rates', 'item'].edge_index
    torch.manual_seed(0)
    backbone = LightGCN(40, 60, 8, num_intents=4, edge_dropout=0.3)
    model = Recommender(backbone, bipartite_edge_index(edges, 40, 60)).train()
    explain = IntentExplainer(model, data)
    assert model.training and backbone.training
    best = model.recommend(torch.arange(40), 5, exclude=edges)
    for user in (0, 7, 39):
        for rank, item in enumerate(best.item[user].tolist(), start=1):
            found = explain.recommendation(user, item)
            assert found.rank == rank
            assert found.score == pytest.approx(best.score[user, rank - 1].item())
