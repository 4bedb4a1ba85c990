from __future__ import annotations

import math
from contextlib import nullcontext

import pytest
import torch

from pyg_irllrec.nn import Popularity
from pyg_irllrec.testing import BackboneTests
from pyg_irllrec.training import (
    RankingLoader,
    RankingMetrics,
    evaluate,
    evaluate_ranker,
)
from pyg_irllrec.utils import UserItems

TAKEN = UserItems(BackboneTests().interactions, 6, 7)
LABEL = UserItems(torch.tensor([[0, 0, 1, 3], [4, 5, 1, 6]]), 6, 7)
META = torch.device('meta')


def test_precision_and_mrr():
    user, item = torch.tensor([[1.0], [1.0]]), torch.tensor([[3.0], [2.0], [1.0]])
    label = UserItems(torch.tensor([[0, 0, 1], [1, 2, 2]]), 2, 3)
    taken = UserItems(torch.tensor([[1], [0]]), 2, 3)
    options = {'metrics': ('precision', 'mrr'), 'ks': (1, 2, 3)}
    # User 0 ranks 0, 1, 2 with labels 1 and 2; user 1 ranks 1, 2 with label 2.
    assert evaluate(user, item, label, taken, **options) == {
        'precision@1': 0.0,
        'precision@2': pytest.approx((1 / 2 + 1 / 2) / 2),
        'precision@3': pytest.approx((2 / 3 + 1 / 3) / 2),
        'mrr@1': 0.0,
        'mrr@2': pytest.approx((1 / 2 + 1 / 2) / 2),
        'mrr@3': pytest.approx((1 / 2 + 1 / 2) / 2),
    }
    for wrong in ((), 'mrr', ('auc',), None):
        with pytest.raises(ValueError, match="'metrics' must be"):
            RankingMetrics(metrics=wrong)


def test_a_computed_value_is_not_reused_after_an_update():
    user, item = torch.eye(2, 4), torch.eye(4)
    pairs = UserItems(torch.tensor([[0, 1], [0, 0]]), 2, 4)
    none = UserItems(torch.empty(2, 0, dtype=torch.long), 2, 4)
    metrics, values = RankingMetrics((1,), ('recall', 'ndcg', 'mrr')), []
    for batch in RankingLoader(pairs, none, batch_size=1):
        metrics.rank(user, item, batch)  # A hit for the first user only.
        values.append({float(x) for x in metrics.compute().values()})
    assert values == [{1.0}, {0.5}]


@pytest.mark.parametrize('value', [float('nan'), 1e20, float('inf')])
def test_scores_that_cannot_be_ranked(value):
    label = UserItems(torch.tensor([[1], [0]]), 2, 3)
    none = UserItems(torch.empty(2, 0).long(), 2, 3)
    user, item = torch.ones(2, 2), torch.ones(3, 2)
    user[1], item[2] = value, torch.tensor([value, -value])
    metrics = RankingMetrics((1,))
    (batch,) = RankingLoader(label, none)
    with pytest.raises(ValueError, match=r'scores must be finite, got .* for user 1'):
        metrics.rank(user, item, batch)
    with pytest.raises(ValueError, match='must be finite'):
        evaluate(user, item, label, none, (1,))


def test_coverage_and_popularity():
    label = UserItems(torch.tensor([[0, 1], [3, 3]]), 2, 4)
    train = UserItems(torch.tensor([[0, 1, 1], [0, 0, 1]]), 2, 4)
    # Of the unmasked items, both rank 2 first, then user 0 ranks 1 and user 1 ranks 3.
    user, item = torch.ones(2, 1), torch.tensor([[9.0], [3.0], [4.0], [1.0]])
    options = {'ks': (1, 2), 'metrics': ('coverage', 'popularity')}
    expected = {
        'coverage@1': 0.25,
        'coverage@2': 0.75,
        'popularity@1': 0.0,
        'popularity@2': pytest.approx(math.log(2) / 4),
    }
    assert evaluate(user, item, label, train, **options) == expected
    model = Popularity(2, 4, torch.tensor([[0, 1, 0, 0, 1, 1], [2, 2, 0, 1, 1, 3]]))
    assert evaluate_ranker(model, label, train, **options)['coverage@2'] >= 0.5
    with pytest.raises(ValueError, match=r"'train' must hold .* metric 'coverage', "):
        RankingMetrics(**options)


@pytest.mark.parametrize('by_scores', [True, False])
def test_a_pass_does_not_wait_for_a_gpu(by_scores, monkeypatch):
    """Tensors without values raise an error if a value is read or used as a size."""
    # Autocast does not support them.
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())
    metrics = RankingMetrics(
        (1, 3), ('recall', 'ndcg', 'precision', 'mrr', 'coverage', 'popularity'), TAKEN
    ).to(META)
    loader = RankingLoader(LABEL, TAKEN, 2)._with(LABEL.to(META), TAKEN.to(META))
    user, item = torch.ones(6, 4, device=META), torch.ones(7, 4, device=META)
    for batch in loader:
        if by_scores:
            metrics.rank_scores(user[batch.user] @ item.t(), batch)
        else:
            metrics.rank(user, item, batch)
    assert len(metrics._unchecked) == len(loader) == 2
    with pytest.raises(RuntimeError, match='item'):
        metrics.compute()


def test_invalid_scores_on_a_gpu_are_found_by_compute():
    metrics = RankingMetrics((1,))
    users = torch.tensor([0, 1]), torch.tensor([4, 2])
    for user, worst in zip(users, (0.0, torch.nan), strict=True):
        metrics._unchecked.append((torch.tensor([[1.0], [worst]]), user))
    with pytest.raises(ValueError, match='must be finite, got nan for user 2'):
        metrics.compute()
    metrics.reset()
    assert metrics._unchecked == []
