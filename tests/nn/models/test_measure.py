from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn.models._measure import measure
from pyg_irllrec.training import evaluate
from pyg_irllrec.utils import UserItems
from tests.nn.baselines.data import ITEMS, TRAIN, USERS, VAL


def test_equals_an_evaluation(monkeypatch):
    monkeypatch.setattr('pyg_irllrec.nn.models._measure._BATCH_SIZE', 7)
    user, item = torch.randn(USERS, 3), torch.randn(ITEMS, 3)

    def variants(users):
        return (sign * user[users] @ item.t() for sign in (1, -1))

    found = measure(variants, 2, VAL, TRAIN, 4, torch.device('cpu'))
    for row, sign in zip(found.tolist(), (1, -1)):
        expected = evaluate(sign * user, item, VAL, TRAIN, (4,))
        assert row == pytest.approx([expected['recall@4'], expected['ndcg@4']])


def test_the_cutoff_is_at_most_the_number_of_items():
    label = UserItems(torch.tensor([[0], [1]]), 1, 3)
    none = UserItems(torch.empty(2, 0).long(), 1, 3)
    found = measure(
        lambda _: [torch.eye(3)[:1]], 1, label, none, 20, torch.device('cpu')
    )
    assert found[0, 0] == 1


def test_refuses_what_cannot_be_ranked():
    score = torch.zeros(1, ITEMS)
    score[0, 2] = torch.nan
    with pytest.raises(ValueError, match='scores must be finite, got nan for user 2'):
        measure(
            lambda users: [score.expand(len(users), -1)],
            *(1, VAL, TRAIN, 3, torch.device('cpu')),
        )
