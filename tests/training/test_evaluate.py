from __future__ import annotations

import math

import pytest
import torch

from pyg_irllrec.nn import EASE, LightGCN, Popularity, Ranker, Recommender
from pyg_irllrec.testing import BackboneTests
from pyg_irllrec.training import (
    RankingLoader,
    RankingMetrics,
    evaluate,
    evaluate_ranker,
)
from pyg_irllrec.utils import UserItems

GRAPH, PAIRS = BackboneTests().edge_index, BackboneTests().interactions
TAKEN = UserItems(PAIRS, 6, 7)
LABEL = UserItems(torch.tensor([[0, 0, 1, 3], [4, 5, 1, 6]]), 6, 7)


def by_hand(score, labels, taken, ks):
    """The authors' protocol, one user at a time."""
    sums, count = {}, 0
    for user in range(score.size(0)):
        wanted = labels.get(user, set())
        if not wanted:
            continue
        count += 1
        order = [
            i
            for i in score[user].argsort(descending=True).tolist()
            if i not in taken.get(user, set())
        ]
        for k in ks:
            hits = [float(i in wanted) for i in order[:k]]
            dcg = sum(hit / math.log2(rank + 2) for rank, hit in enumerate(hits))
            best = sum(1 / math.log2(r + 2) for r in range(min(k, len(wanted))))
            for name, value in (
                (f'recall@{k}', sum(hits) / len(wanted)),
                (f'ndcg@{k}', dcg / best),
            ):
                sums[name] = sums.get(name, 0.0) + value
    return {name: value / count for name, value in sums.items()}


def group(pairs):
    out = {}
    for user, item in pairs.t().tolist():
        out.setdefault(user, set()).add(item)
    return out


@pytest.mark.parametrize('batch_size', [1, 7, 1000])
def test_equals_a_loop_over_users(batch_size):
    generator = torch.Generator().manual_seed(0)
    user = torch.randn(30, 4, generator=generator)
    item = torch.randn(25, 4, generator=generator)
    pairs = (torch.rand(30, 25, generator=generator) < 0.3).nonzero().t()
    pairs = pairs[:, pairs[0] != 3]
    chosen = torch.rand(pairs.size(1), generator=generator) < 0.5
    train, test = pairs[:, chosen], pairs[:, ~chosen]
    ks = (1, 5, 20)
    metrics = evaluate(
        user, item, UserItems(test, 30, 25), UserItems(train, 30, 25), ks, batch_size
    )
    expected = by_hand(user @ item.t(), group(test), group(train), ks)
    assert metrics.keys() == expected.keys()
    for name, value in metrics.items():
        assert value == pytest.approx(expected[name], abs=1e-6)


def test_half_precision_does_not_overflow():
    label = UserItems(torch.tensor([[0], [0]]), 1, 3)
    none = UserItems(torch.empty(2, 0).long(), 1, 3)
    item = torch.tensor([[299.0], [300.0], [1.0]]).half()
    assert evaluate(item[:1], item, label, none, (1,))['recall@1'] == 0
    assert evaluate(item[:1], item.flip(0), label, none, (2,))['recall@2'] == 0


def test_the_truth_scores_one():
    pairs = torch.tensor([[0, 0, 1], [0, 1, 2]])
    score = torch.zeros(2, 4).index_put((pairs[0], pairs[1]), torch.ones(3))
    none = UserItems(torch.empty(2, 0).long(), 2, 4)
    metrics = evaluate(score, torch.eye(4), UserItems(pairs, 2, 4), none, ks=(2,))
    assert metrics == {'recall@2': 1.0, 'ndcg@2': 1.0}


def test_wrong_arguments():
    none = UserItems(torch.empty(2, 0).long(), 1, 4)
    with pytest.raises(ValueError, match="'label' must hold at least one"):
        evaluate(torch.ones(1, 2), torch.ones(4, 2), none, none)
    for name in ('label', 'exclude'):
        with pytest.raises(ValueError, match=f"'{name}' must be a UserItems"):
            evaluate(
                *(torch.ones(1, 2), torch.ones(4, 2)),
                **{'label': none, 'exclude': none, name: [[0], [0]]},
            )
    with pytest.raises(ValueError, match="'ks' must hold at least one cut-off"):
        RankingMetrics(())
    for ks, message in (
        (20, r'such as \(20,\), got 20'),
        ((2.5,), 'integer of at least 1'),
    ):
        with pytest.raises(ValueError, match=f"'ks' must .*{message}"):
            RankingMetrics(ks)
    items = UserItems(torch.tensor([[0], [0]]), 1, 4)
    with pytest.raises(
        ValueError, match="'batch_size' must be an integer of at least 1"
    ):
        RankingLoader(items, none, 2.5)
    with pytest.raises(ValueError, match='from 1 to the number of items, 4'):
        evaluate(torch.ones(1, 2), torch.ones(4, 2), items, none, ks=(5,))
    with pytest.raises(ValueError, match=r"'user' must be finite, .* in 1 of 1 rows"):
        evaluate(torch.full((1, 2), torch.nan), torch.ones(4, 2), items, none, (2,))
    with pytest.raises(ValueError, match="'item' must have a row per item, 4 rows, go"):
        evaluate(torch.ones(1, 2), torch.ones(3, 2), items, none, (2,))


def test_a_recommender_is_evaluated_like_its_embeddings():
    model = Recommender(LightGCN(6, 7, 4), GRAPH)
    expected = evaluate(*model.get_embeddings(), LABEL, TAKEN, (1, 3))
    assert evaluate_ranker(model, LABEL, TAKEN, (1, 3), 2) == expected
    assert model.training and all(value >= 0 for value in expected.values())


def test_any_ranker_is_evaluated():
    model = EASE(6, 7, PAIRS)
    score = model.score(torch.arange(6))
    expected = evaluate(score, torch.eye(7), LABEL, TAKEN, (2,), metrics=('mrr',))
    found = evaluate_ranker(model, LABEL, TAKEN, (2,), metrics=('mrr',))
    assert found == expected and found.keys() == {'mrr@2'}


class Odd(Ranker):
    def __init__(self, value):
        super().__init__(6, 7)
        self.value = value

    def score(self, users):
        return self.value


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'ranker': torch.ones(6, 4)}, "'ranker' must be a Ranker, got Tensor"),
        ({'label': PAIRS}, "'label' must be a UserItems, got Tensor"),
        ({'exclude': PAIRS}, "'exclude' must be a UserItems, got Tensor"),
        (
            {'label': UserItems(PAIRS, 6, 8)},
            "'label' must have .* 6 and 7, got 6 and 8",
        ),
        ({'ks': (8,)}, "'ks' must be at most 7, the number of items, got 8"),
        ({'ranker': Odd(torch.ones(3, 6))}, r'of shape \(3, 7\), got \(3, 6\)'),
        ({'ranker': Odd(torch.full((3, 7), torch.nan))}, 'scores must be finite, got'),
    ],
)
def test_invalid_rankers(change, message):
    right = {'ranker': Popularity(6, 7, PAIRS), 'label': LABEL, 'exclude': TAKEN}
    with pytest.raises(ValueError, match=message):
        evaluate_ranker(**{**right, 'ks': (2,), **change})
