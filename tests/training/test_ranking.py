from __future__ import annotations

import math
from contextlib import nullcontext

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


def by_hand(score, labels, taken, ks):
    """The authors' protocol, a user at a time."""
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


def test_precision_and_mrr():
    user, item = torch.tensor([[1.0], [1.0]]), torch.tensor([[3.0], [2.0], [1.0]])
    label = UserItems(torch.tensor([[0, 0, 1], [1, 2, 2]]), 2, 3)
    taken = UserItems(torch.tensor([[1], [0]]), 2, 3)
    options = {'metrics': ('precision', 'mrr'), 'ks': (1, 2, 3)}
    # User 0 ranks 0, 1, 2 and wants 1 and 2; user 1 ranks 1, 2 and wants 2.
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


def test_what_was_computed_before_is_not_kept():
    user, item = torch.eye(2, 4), torch.eye(4)
    pairs = UserItems(torch.tensor([[0, 1], [0, 0]]), 2, 4)
    none = UserItems(torch.empty(2, 0, dtype=torch.long), 2, 4)
    metrics, values = RankingMetrics((1,), ('recall', 'ndcg', 'mrr')), []
    for batch in RankingLoader(pairs, none, batch_size=1):
        metrics.rank(user, item, batch)  # Found for the first user alone.
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


def test_labels_that_are_masked_are_counted():
    label = UserItems(torch.tensor([[0, 0], [0, 1]]), 1, 3)
    exclude = UserItems(torch.tensor([[0], [0]]), 1, 3)
    user, item = torch.tensor([[1.0, 0]]), torch.tensor([[2.0, 0], [1, 0], [0, 0]])
    with pytest.warns(UserWarning, match='1 of 2 held-out .* also train') as seen:
        assert evaluate(user, item, label, exclude, (2,))['recall@2'] == 0.5
        RankingLoader(label, exclude)
    assert [each.filename for each in seen] == [__file__] * 2
    with pytest.raises(ValueError, match='1 of 1 held-out interactions are also train'):
        evaluate(user, item, exclude, label, (2,))
    with pytest.raises(ValueError, match=r"'exclude' must have .*, 1 and 3, got 2"):
        RankingLoader(label, UserItems(torch.tensor([[0], [0]]), 2, 3))


GRAPH, PAIRS = BackboneTests().edge_index, BackboneTests().interactions
TAKEN = UserItems(PAIRS, 6, 7)
LABEL = UserItems(torch.tensor([[0, 0, 1, 3], [4, 5, 1, 6]]), 6, 7)
META = torch.device('meta')


def test_a_recommender_is_evaluated_as_its_embeddings_are():
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


def test_what_is_recommended_at_all():
    label = UserItems(torch.tensor([[0, 1], [3, 3]]), 2, 4)
    train = UserItems(torch.tensor([[0, 1, 1], [0, 0, 1]]), 2, 4)
    # Of what is not masked, both rank 2 first, then user 0 ranks 1 and user 1 ranks 3.
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
        ({'ks': (8,)}, "'ks' must not be above the number of items, 7, got 8"),
        ({'ranker': Odd(torch.ones(3, 6))}, r'of shape \(3, 7\), got \(3, 6\)'),
        ({'ranker': Odd(torch.full((3, 7), torch.nan))}, 'scores must be finite, got'),
    ],
)
def test_what_cannot_be_evaluated(change, message):
    right = {'ranker': Popularity(6, 7, PAIRS), 'label': LABEL, 'exclude': TAKEN}
    with pytest.raises(ValueError, match=message):
        evaluate_ranker(**{**right, 'ks': (2,), **change})


def test_batches_by_device_hold_the_same_users():
    loader = RankingLoader(LABEL, TAKEN)
    moved = loader._with(LABEL.to(META), TAKEN.to(META))
    assert len(loader) == len(moved) == 1 and moved.user.is_meta
    assert loader.user.is_cpu and loader._users_at_once() == 128
    assert moved._users_at_once() == 2**27 // 7
    for size in (1, 2, 3, 4):
        batches = list(RankingLoader(LABEL, TAKEN, size))
        assert torch.cat([batch.user for batch in batches]).equal(loader.user)
        for batch in batches:
            assert torch.stack(batch.label).equal(torch.stack(LABEL.lookup(batch.user)))
            expected = torch.stack(TAKEN.lookup(batch.user))
            assert torch.stack(batch.exclude).equal(expected)


@pytest.mark.parametrize('by_scores', [True, False])
def test_a_pass_on_a_gpu_waits_for_nothing(by_scores, monkeypatch):
    """Tensors without values refuse all that reads one, or makes a size of one."""
    # Autocast has no type for them.
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


def test_wrong_scores_of_a_pass_are_found_at_its_end():
    metrics = RankingMetrics((1,))
    users = torch.tensor([0, 1]), torch.tensor([4, 2])
    for user, worst in zip(users, (0.0, torch.nan), strict=True):
        metrics._unchecked.append((torch.tensor([[1.0], [worst]]), user))
    with pytest.raises(ValueError, match='must be finite, got nan for user 2'):
        metrics.compute()
    metrics.reset()
    assert metrics._unchecked == []
