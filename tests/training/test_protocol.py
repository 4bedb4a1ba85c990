"""The training protocol, compared with scripted values and manual loops."""

from __future__ import annotations

import copy
import csv
import itertools
import json
import warnings
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Trainer
from torch_geometric.data import HeteroData

from pyg_irllrec.nn import IRLLRec, LightGCN, Recommender
from pyg_irllrec.training import (
    InteractionDataModule,
    LitRecommender,
    RankingMetrics,
    _step_clock,
    fit,
)
from pyg_irllrec.utils import bipartite_edge_index

RATES = ('user', 'rates', 'item')
USERS, ITEMS = 6, 8
# Every user has three training items, one validation item and one test item.
TRAIN = [(u, (u + i) % ITEMS) for u in range(USERS) for i in (0, 2, 5)]
VAL = [(u, (u + 1) % ITEMS) for u in range(USERS)]
TEST = [(u, (u + 3) % ITEMS) for u in range(USERS)]


def graph() -> HeteroData:
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = USERS, ITEMS
    data[RATES].edge_index = torch.tensor(TRAIN).t()
    data[RATES].val_edge_label_index = torch.tensor(VAL).t()
    data[RATES].test_edge_label_index = torch.tensor(TEST).t()
    return data


def build() -> Recommender:
    torch.manual_seed(0)
    edge_index = bipartite_edge_index(graph()[RATES].edge_index, USERS, ITEMS)
    return Recommender(LightGCN(USERS, ITEMS, 4, num_layers=1), edge_index)


def run(out, model=None, **options):
    options = {'ks': (1, 2), 'device': 'cpu', 'progress': False, **options}
    data = InteractionDataModule(graph(), batch_size=5)
    return fit(model or build(), data, out, **options)


def weights(model):
    return copy.deepcopy(model.state_dict())


def saved(path):
    checkpoint = torch.load(path, weights_only=True)
    state = checkpoint['state_dict']
    return checkpoint['epoch'] + 1, {
        name.removeprefix('model.'): value
        for name, value in state.items()
        if name.startswith('model.')
    }


class Script:
    """Script the Recall at the largest cut-off of each validation. The other metrics
    change in the opposite direction."""

    def __init__(self, monkeypatch, model, recalls):
        self.model = model
        self.recalls = [*recalls]
        self.weights = []
        monkeypatch.setattr(RankingMetrics, 'compute', lambda metrics: self.next())

    def next(self):
        self.weights.append(weights(self.model))
        recall = self.recalls.pop(0)
        return {
            name: torch.tensor(value)
            for name, value in {
                'recall@1': 1 - recall,
                'recall@2': recall,
                'ndcg@1': 1 - recall,
                'ndcg@2': 1 - recall,
            }.items()
        }


@pytest.mark.parametrize('ks', [(1, 2), (2, 1)])
def test_the_best_recall_at_the_largest_cutoff_decides(tmp_path, monkeypatch, ks):
    model = build()
    # The second check is the best. Neither a tie nor a second best is a gain.
    script = Script(monkeypatch, model, [0.25, 0.5, 0.125, 0.5, 0.375, 0.75])
    result = run(tmp_path, model, epochs=40, check_every=2, patience=3, lr=0.1, ks=ks)
    # It stopped at the third check without a gain. The next value is of the test.
    assert [row['epoch'] for row in result.history] == [2, 4, 6, 8, 10]
    assert [row['recall@2'] for row in result.history] == [
        0.25,
        0.5,
        0.125,
        0.5,
        0.375,
    ]
    assert script.recalls == [] and result.test['recall@2'] == 0.75
    assert result.best_epoch == 4
    (epoch, best), (last_epoch, last) = (
        saved(tmp_path / f'{name}.ckpt') for name in ('best', 'last')
    )
    assert (epoch, last_epoch) == (4, 10)
    for name, value in best.items():
        assert torch.equal(value, script.weights[1][name])
        assert torch.equal(value, model.state_dict()[name])
        assert torch.equal(last[name], script.weights[4][name])
        assert not torch.equal(value, last[name])
    text = (tmp_path / 'metrics.json').read_text()
    assert text.startswith('{\n  "test": {\n') and text.endswith('}\n')
    written = json.loads(text)
    assert written['best_epoch'] == 4 and written['test']['recall@2'] == 0.75
    with open(tmp_path / 'history.csv') as file:
        rows = [
            (int(row['epoch']), float(row['recall@2'])) for row in csv.DictReader(file)
        ]
    assert rows == [(2, 0.25), (4, 0.5), (6, 0.125), (8, 0.5), (10, 0.375)]


@pytest.mark.parametrize('patience', [1, 2])
def test_patience_counts_checks_without_a_gain(tmp_path, monkeypatch, patience):
    model = build()
    Script(monkeypatch, model, [0.25, 0.5, 0.375, 0.625, *[0.5] * 9])
    result = run(tmp_path, model, epochs=12, check_every=1, patience=patience)
    # A gain resets the count.
    stopped = {1: 3, 2: 6}[patience]
    assert [row['epoch'] for row in result.history] == [*range(1, stopped + 1)]
    assert result.best_epoch == {1: 2, 2: 4}[patience]


def test_a_resumed_run_keeps_its_count(tmp_path, monkeypatch):
    model = build()
    Script(monkeypatch, model, [0.5, 0.25, 0.0])
    run(tmp_path, model, epochs=2, check_every=1, patience=3)
    model = build()
    script = Script(monkeypatch, model, [0.375, 0.125, 0.75, 0.875, 1.0])
    options = {'epochs': 12, 'check_every': 1, 'patience': 3, 'resume': True}
    result = run(tmp_path, model, **options)
    assert [row['epoch'] for row in result.history] == [1, 2, 3, 4]
    assert result.best_epoch == 1 and len(script.recalls) == 2
    assert saved(tmp_path / 'best.ckpt')[0] == 1


def test_the_time_of_a_step(tmp_path, monkeypatch):
    ticks = itertools.count(100.0, 0.5)
    clock = SimpleNamespace(perf_counter=lambda: next(ticks))
    monkeypatch.setattr(_step_clock, 'time', clock)
    assert run(tmp_path, epochs=1).seconds_per_step == 0.5


def test_a_run_killed_right_after_its_best_checkpoint_is_resumed(tmp_path, monkeypatch):
    options, last = {'check_every': 1, 'lr': 0.1}, tmp_path / 'last.ckpt'
    model = build()
    Script(monkeypatch, model, [0.25, 0.0])
    run(tmp_path, model, epochs=1, **options)
    before = last.read_bytes()
    for _ in range(2):
        model = build()
        Script(monkeypatch, model, [0.5, 0.125])
        result = run(tmp_path, model, epochs=2, resume=True, **options)
        assert result.best_epoch == 2 and len(result.history) == 2
        last.write_bytes(before)


@pytest.mark.parametrize(('epochs', 'rows'), [(6, [3, 6]), (7, [3, 6, 7])])
def test_without_validation_the_history_has_the_same_rows(tmp_path, epochs, rows):
    data = graph()
    del data[RATES].val_edge_label_index
    options = {'ks': (1, 2), 'device': 'cpu', 'progress': False}
    module = InteractionDataModule(data)
    result = fit(build(), module, tmp_path, epochs=epochs, check_every=3, **options)
    assert [row['epoch'] for row in result.history] == rows


def test_a_warning_of_the_model_is_shown(tmp_path, monkeypatch):
    model = build()
    loss = model.loss

    def warning(triplets, **options):
        warnings.warn('odd triplets', stacklevel=1)
        return loss(triplets, **options)

    monkeypatch.setattr(model, 'loss', warning)
    with pytest.warns(UserWarning, match='odd triplets'):
        run(tmp_path, model, epochs=1)


def test_nothing_is_written_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(tmp_path / 'run', epochs=1)
    assert [path.name for path in tmp_path.iterdir()] == ['run']


def record_losses(monkeypatch, model):
    """Record the triplets and the terms of every step."""
    steps = []
    loss = model.loss

    def recorded(triplets, **options):
        output = loss(triplets, **options)
        terms = {name: float(term.detach()) for name, term in output.terms.items()}
        steps.append(
            (triplets.clone(), {'loss': float(output.total.detach()), **terms})
        )
        return output

    monkeypatch.setattr(model, 'loss', recorded)
    return steps


def test_history_has_the_means_over_the_steps_of_an_epoch(tmp_path, monkeypatch):
    model = build()
    steps = record_losses(monkeypatch, model)
    result = run(tmp_path, model, epochs=4, check_every=2, lr=0.1)
    batches = -(-len(TRAIN) // 5)
    assert len(steps) == 4 * batches and len(steps[batches - 1][0][0]) < 5
    for row in result.history:
        last = int(row['epoch']) * batches
        for name in ('loss', 'ranking', 'l2'):
            values = [terms[name] for _, terms in steps[last - batches : last]]
            assert row[name] == pytest.approx(sum(values) / batches, rel=1e-5)


def test_every_epoch_draws_all_pairs_in_another_order(tmp_path, monkeypatch):
    model = build()
    steps = record_losses(monkeypatch, model)
    run(tmp_path, model, epochs=3, check_every=3)
    count = len(steps) // 3
    epochs = [
        torch.cat([triplets for triplets, _ in steps[i * count : (i + 1) * count]], 1)
        for i in range(3)
    ]
    orders = [list(zip(*triplets[:2].tolist())) for triplets in epochs]
    for order, triplets in zip(orders, epochs):
        assert sorted(order) == sorted(TRAIN)
        assert order != sorted(TRAIN)
        assert not set(zip(*triplets[[0, 2]].tolist())) & set(TRAIN)
    assert orders[0] != orders[1] != orders[2] != orders[0]
    negatives = [sorted(zip(*triplets[[0, 2]].tolist())) for triplets in epochs]
    assert negatives[0] != negatives[1]


def test_the_steps_are_those_of_adam(tmp_path, monkeypatch):
    model = build()
    replayed = copy.deepcopy(model)
    steps = record_losses(monkeypatch, model)
    run(tmp_path, model, epochs=2, check_every=2, lr=0.05)
    optimizer = torch.optim.Adam(replayed.parameters(), 0.05, (0.9, 0.999), 1e-8, 0)
    replayed.train()
    for triplets, _ in steps:
        optimizer.zero_grad()
        replayed.loss(triplets).total.backward()
        optimizer.step()
    state = model.state_dict()
    for name, value in replayed.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=1e-6)


def test_the_teacher_rests_between_optimizer_steps(monkeypatch):
    torch.manual_seed(0)
    edge_index = bipartite_edge_index(graph()[RATES].edge_index, USERS, ITEMS)
    text = torch.randn(USERS + ITEMS, 3)
    backbone = LightGCN(USERS, ITEMS, 4, num_layers=1, num_intents=2)
    model = IRLLRec(backbone, edge_index, intent=text, momentum=0.5)
    lit = LitRecommender(model, lr=0.1, ks=(1,))
    seen, loss = [], model.loss

    def recorded(triplets, **options):
        output = loss(triplets, **options)
        projector = model.intent_projector
        seen.append(
            [
                torch.cat([value.flatten() for value in values]).detach().clone()
                for values in (
                    projector.teacher.buffers(),
                    projector.encoder.parameters(),
                )
            ]
        )
        return output

    monkeypatch.setattr(model, 'loss', recorded)
    Trainer(
        accelerator='cpu',
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=1,
        accumulate_grad_batches=2,
        limit_val_batches=0,
    ).fit(lit, InteractionDataModule(graph(), batch_size=3))
    assert len(seen) == 6
    for step in range(1, 6):
        before, after = seen[step - 1], seen[step]
        moved = step % 2 == 0  # An optimizer step is between the two.
        assert torch.equal(before[1], after[1]) == (not moved)
        expected = (before[0] + after[1]) / 2 if moved else before[0]
        torch.testing.assert_close(after[0], expected)


@pytest.mark.parametrize('eval_batch_size', [1, 4, 128])
def test_training_items_are_masked_and_no_others(
    tmp_path, monkeypatch, eval_batch_size
):
    """The embeddings rank training items first, then validation items, then test
    items."""
    scores = torch.zeros(USERS, ITEMS)
    for pairs, score in ((TRAIN, 3.0), (VAL, 2.0), (TEST, 1.0)):
        scores[tuple(torch.tensor(pairs).t())] = score
    model = build()
    embeddings = scores, torch.eye(ITEMS)
    monkeypatch.setattr(model, 'get_embeddings', lambda: embeddings)
    masks = []
    rank = RankingMetrics.rank

    def recorded(metrics, user, item, batch):
        place, items = (row.tolist() for row in batch.exclude)
        masks.append([(int(batch.user[i]), j) for i, j in zip(place, items)])
        rank(metrics, user, item, batch)

    monkeypatch.setattr(RankingMetrics, 'rank', recorded)
    data = InteractionDataModule(graph(), eval_batch_size=eval_batch_size)
    options = {'ks': (2, 1), 'device': 'cpu', 'progress': False}
    result = fit(model, data, tmp_path, epochs=1, **options)
    # Without the mask, training items would fill both places.
    assert result.history[0]['recall@1'] == 1
    # The test does not mask validation items, which come first.
    assert result.test['recall@1'] == 0 and result.test['recall@2'] == 1
    batches = -(-USERS // eval_batch_size)
    assert len(masks) == 2 * batches
    for each in (masks[:batches], masks[batches:]):
        assert sorted(pair for mask in each for pair in mask) == sorted(TRAIN)
