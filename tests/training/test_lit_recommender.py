from __future__ import annotations

import copy
import os
import warnings
from contextlib import nullcontext
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    GradientAccumulationScheduler,
    LearningRateMonitor,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.nn import EASE, IRLLRec, LightGCN, SoftmaxLoss
from pyg_irllrec.training import (
    InteractionDataModule,
    LitRecommender,
    evaluate_ranker,
    fit,
    load_weights,
)
from pyg_irllrec.utils import bipartite_edge_index
from tests.training.graphs import pretend_graphs

DATA = SyntheticIntents(20, 15, num_intents=2)[0]
PAIRS = DATA['user', 'rates', 'item'].edge_index


def build(companions=(), **options) -> LitRecommender:
    torch.manual_seed(0)
    texts = {
        kind: torch.cat([DATA['user'][kind], DATA['item'][kind]])
        for kind in ('profile', 'intent')
    }
    backbone = LightGCN(20, 15, 4, num_layers=1, num_intents=2)
    edge_index = bipartite_edge_index(PAIRS, 20, 15)
    model = IRLLRec(backbone, edge_index, companions=companions, **texts)
    return LitRecommender(model, **{'ks': (5,), **options})


def trainer(**options) -> Trainer:
    return Trainer(
        accelerator='cpu',
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def test_predicts_the_scores_of_batches_of_pairs():
    lit = build()
    loader = DataLoader(PAIRS.split(8, dim=1), batch_size=None)
    scores = torch.cat(trainer().predict(lit, loader))
    torch.testing.assert_close(scores, lit.model.eval()(PAIRS))


def test_a_blend_predicts_and_is_validated():
    lit = build(companions=[EASE(20, 15, PAIRS)])
    lit.model.blend_weight.copy_(torch.tensor([0.3, 0.7]))
    loader = DataLoader(PAIRS.split(8, dim=1), batch_size=None)
    scores = torch.cat(trainer().predict(lit, loader))
    torch.testing.assert_close(scores, lit.model.eval()(PAIRS))
    data = InteractionDataModule(DATA)
    (found,) = trainer().validate(lit, data, verbose=False)
    expected = evaluate_ranker(lit.model, data.val_items, data.train_items, (5,))
    assert found['val/recall@5'] == pytest.approx(expected['recall@5'])
    assert lit._scorer is None


@pytest.mark.parametrize('weight', [0.0, 0.7])
def test_predicting_embeds_the_graph_once(weight, monkeypatch):
    lit, calls = build(companions=[EASE(20, 15, PAIRS)]), []
    lit.model.blend_weight[1] = weight
    embed = lit.model.get_embeddings
    monkeypatch.setattr(lit.model, 'get_embeddings', lambda: calls.append(1) or embed())
    trainer().predict(lit, DataLoader(PAIRS.split(8, dim=1), batch_size=None))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ('loader', 'message'),
    [
        (
            DataLoader(TensorDataset(PAIRS.t()), 8),
            "'batch' must be a tensor .* got list",
        ),
        (DataLoader(PAIRS.t(), 8), r"'batch' must be .* shape \(2, .*got \(8, 2\)"),
        (
            DataLoader([PAIRS + 20], None),
            r"'batch\[0\] \(users\)' must hold ids from 0",
        ),
    ],
)
def test_invalid_batches(loader, message):
    with pytest.raises(ValueError, match=message):
        trainer().predict(build(), loader)


def by_hand(out, lit, data, callbacks=(), **options) -> ModelCheckpoint:
    best = ModelCheckpoint(out, monitor='val/recall@5', mode='max')
    options = {'max_epochs': 4, 'check_val_every_n_epoch': 2, **options}
    loud = {'enable_progress_bar': False, 'enable_model_summary': False}
    Trainer(accelerator='cpu', callbacks=[best, *callbacks], **loud, **options).fit(
        lit, datamodule=data
    )
    return best


def test_a_trainer_of_the_user_equals_fit(tmp_path):
    """With the defaults of Lightning, such as its sanity check."""
    companions = [EASE(20, 15, PAIRS)]
    data = InteractionDataModule(DATA, batch_size=16)
    model = build(companions).model
    options = {'check_every': 2, 'device': 'cpu', 'progress': False, 'ks': (5,)}
    expected = fit(model, data, tmp_path / 'fit', epochs=4, **options)
    lit = build(companions)
    callbacks = [
        EarlyStopping('val/recall@5', mode='max', patience=5),
        LearningRateMonitor(),
    ]
    logger = CSVLogger(tmp_path / 'logs')
    best = by_hand(tmp_path / 'hand', lit, data, callbacks, logger=logger)
    assert lit.history == expected.history
    load_weights(lit.model, best.best_model_path)
    lit.model.calibrate(data.val_items, data.train_items)
    (found,) = trainer().test(lit, data, verbose=False)
    assert {f'test/{name}': value for name, value in expected.test.items()} == found
    for name, value in model.state_dict().items():
        assert torch.equal(value, lit.model.state_dict()[name])
    trainer().validate(lit, data, verbose=False)
    assert lit.history == expected.history  # The sanity check adds no row.


@pytest.mark.parametrize(
    ('callbacks', 'options'),
    [
        ([], {'accumulate_grad_batches': 2}),
        ([EMAWeightAveraging(decay=0.9, use_buffers=False)], {}),
        ([StochasticWeightAveraging(1e-2, swa_epoch_start=1)], {}),
        ([], {'precision': 'bf16-mixed', 'gradient_clip_val': 1.0}),
    ],
    ids=['accumulation', 'ema', 'swa', 'precision and clipping'],
)
def test_options_of_trainers(tmp_path, callbacks, options):
    data, lit, plain = InteractionDataModule(DATA, batch_size=16), build(), build()
    by_hand(tmp_path / 'plain', plain, data, logger=False)
    best = by_hand(tmp_path, lit, data, callbacks, logger=False, **options)
    weight = lit.model.backbone.user_embedding.weight
    assert not torch.equal(weight, plain.model.backbone.user_embedding.weight)
    assert [row['epoch'] for row in lit.history] == [2, 4]
    load_weights(lit.model, best.best_model_path)


class Watch(Callback):
    """Record the steps that callbacks see."""

    def __init__(self):
        self.losses, self.steps = [], []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.losses.append(outputs['loss'])
        self.steps.append(trainer.global_step)


def test_callbacks_see_captured_steps(tmp_path, monkeypatch):
    data, watches = InteractionDataModule(DATA, batch_size=16), []
    for captures in (False, True):
        made = pretend_graphs(monkeypatch) if captures else []
        watches.append(Watch())
        lit = build()
        by_hand(tmp_path, lit, data, watches[-1:], logger=CSVLogger(tmp_path))
        assert lit._captured is None  # It would keep memory.
    assert made[0].calls.count('replay') > 4
    torch.testing.assert_close(watches[1].losses, watches[0].losses, rtol=0, atol=0)
    assert watches[1].steps == watches[0].steps
    assert watches[1].steps == list(range(1, len(watches[1].steps) + 1))


class Looks(Callback):
    def on_after_backward(self, trainer, module):
        pass


class Own(LitRecommender):
    def training_step(self, triplets, batch_idx):
        return self.model.loss(triplets).total


@pytest.mark.parametrize(
    ('cls', 'options', 'message'),
    [
        (None, {'gradient_clip_val': 1.0}, 'gradients are clipped'),
        (None, {'accumulate_grad_batches': 2}, 'gradients are accumulated over'),
        (
            None,
            {'callbacks': [GradientAccumulationScheduler({1: 2})]},
            'gradients are accumulated over',
        ),
        (None, {'callbacks': [Looks()]}, 'Looks.on_after_backward may change'),
        (Own, {}, 'Own.training_step changes a step'),
    ],
)
def test_changed_steps_are_not_captured(cls, options, message, monkeypatch):
    made = pretend_graphs(monkeypatch)
    lit, data = build(), InteractionDataModule(DATA, batch_size=16)
    lit = lit if cls is None else cls(lit.model, ks=(5,))
    with pytest.warns(UserWarning, match=f'not as one CUDA graph: .*{message}'):
        trainer(max_epochs=2, limit_val_batches=0, **options).fit(lit, data)
    assert made[0].calls == []


def test_an_epoch_for_batch_norm_is_not_captured(monkeypatch):
    """Lightning adds it only for a model with batch norm."""
    made, data = pretend_graphs(monkeypatch), InteractionDataModule(DATA, batch_size=16)
    for has_norm in (False, True):
        lit = build()
        lit.model.backbone.norm = torch.nn.BatchNorm1d(2) if has_norm else None
        options = {'callbacks': [StochasticWeightAveraging(1e-2)], 'max_epochs': 2}
        message = 'StochasticWeightAveraging adds an epoch without training'
        with pytest.warns(UserWarning, match=message) if has_norm else nullcontext():
            trainer(limit_val_batches=0, **options).fit(lit, data)
        assert ('replay' in made[-1].calls) is not has_norm


def test_capture_can_be_disabled(monkeypatch):
    made = pretend_graphs(monkeypatch)
    data = InteractionDataModule(DATA, batch_size=16)
    trainer(max_epochs=1, limit_val_batches=0).fit(build(capture=False), data)
    assert made == []


@pytest.mark.parametrize('ranking', [None, SoftmaxLoss()])
def test_whole_users_are_captured_where_weights_are_read(ranking, monkeypatch):
    made = pretend_graphs(monkeypatch)
    data = InteractionDataModule(DATA, batch_size=16, batch_by='user')
    torch.manual_seed(0)
    model = build_model(DATA, alignment='none')
    model.ranking = ranking
    lit = LitRecommender(model, ks=(5,))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        trainer(max_epochs=2, limit_val_batches=0).fit(lit, data)
    found = [each for each in caught if 'as one CUDA graph' in str(each.message)]
    assert len(found) == (ranking is None)
    assert ('replay' in made[0].calls) == (ranking is not None)


def test_the_graph_is_never_averaged(tmp_path):
    data = InteractionDataModule(DATA, batch_size=16)
    with pytest.raises(ValueError, match="'use_buffers' of EMAWeightAveraging must be"):
        by_hand(tmp_path, build(), data, [EMAWeightAveraging()], logger=False)


def test_a_sharded_model_is_refused():
    data = InteractionDataModule(DATA)
    data.trainer = SimpleNamespace(world_size=2, strategy=FSDPStrategy())
    data.setup('test')
    with pytest.raises(ValueError, match=r"must be 'ddp' .* got FSDPStrategy: each"):
        data.setup('fit')
    data.trainer.strategy = DDPStrategy()
    data.setup('fit')


def test_load_from_checkpoint(tmp_path):
    lit = build(lr=0.5, seed=7)
    data = InteractionDataModule(DATA, batch_size=16)
    trainer(max_epochs=1, limit_val_batches=0).fit(lit, data)
    lit.trainer.save_checkpoint(tmp_path / 'last.ckpt')
    other = build().model
    found = LitRecommender.load_from_checkpoint(tmp_path / 'last.ckpt', model=other)
    assert found.model is other and (found.lr, found.seed) == (0.5, 7)
    assert found.settings == lit.settings and found.history == lit.history
    assert found.fingerprint == lit.fingerprint and lit.fingerprint['train']
    torch.testing.assert_close(
        other.state_dict(), lit.model.state_dict(), rtol=0, atol=0
    )
    for model in (None, lit, 3):
        with pytest.raises(ValueError, match=r"'model' must be .*load_weights\(model"):
            LitRecommender.load_from_checkpoint(tmp_path / 'last.ckpt', model=model)
    with pytest.raises(FileNotFoundError, match='does not exist'):
        LitRecommender.load_from_checkpoint(tmp_path / 'none.ckpt', model=other)


def test_a_trainer_resumes_only_the_same_data(tmp_path):
    path = tmp_path / 'last.ckpt'
    lit, data = build(), InteractionDataModule(DATA, batch_size=16)
    trainer(max_epochs=1, limit_val_batches=0).fit(lit, data)
    lit.trainer.save_checkpoint(path)
    other = copy.copy(DATA)
    other['user', 'rates', 'item'].edge_index = PAIRS[:, 1:]
    options = {'max_epochs': 2, 'limit_val_batches': 0}
    for given in (
        {'datamodule': InteractionDataModule(other, batch_size=16)},
        {'train_dataloaders': data.train_dataloader()},  # The data is unknown.
    ):
        with pytest.raises(ValueError, match='was begun with other training interact'):
            trainer(**options).fit(build(), **given, ckpt_path=path)
    trainer(**options).fit(build(), data, ckpt_path=path)
    # A test may use other data, but not another model.
    fresh = build(lr=0.5, seed=3)
    trainer().test(fresh, InteractionDataModule(other), ckpt_path=path, verbose=False)
    changed = build()
    changed.model.profile = changed.model.profile.flip(0)
    with pytest.raises(
        ValueError, match=r"last\.ckpt was trained with other 'profile'"
    ):
        trainer().test(changed, data, ckpt_path=path)


def test_prints():
    shown = str(build())
    assert '(model): IRLLRec(' in shown and '(backbone): LightGCN(' in shown


def test_the_teacher_moves_once_per_optimizer_step(monkeypatch):
    moves = []
    monkeypatch.setattr(IRLLRec, 'update_teacher', lambda self: moves.append(1))
    data = InteractionDataModule(DATA, batch_size=16)
    trainer(
        max_steps=2, accumulate_grad_batches=3, limit_val_batches=0, max_epochs=2
    ).fit(build(), data)
    assert len(moves) == 2


def test_frozen_weights_are_not_optimized():
    lit = build()
    lit.model.backbone.user_embedding.weight.requires_grad_(False)
    (group,) = lit.configure_optimizers().param_groups
    trained = [weight for weight in lit.parameters() if weight.requires_grad]
    assert [id(weight) for weight in group['params']] == [id(w) for w in trained]
    assert group['weight_decay'] == 0 and group['lr'] == 1e-3


def test_ddp(process_group):
    lit = build()
    expected = lit(PAIRS)
    distributed = DistributedDataParallel(lit, find_unused_parameters=True)
    scores = distributed(PAIRS)
    torch.testing.assert_close(scores, expected)
    scores.sum().backward()
    assert lit.model.backbone.user_embedding.weight.grad.abs().sum() > 0


@pytest.fixture
def own_process_group():
    """Clean up the process group and the environment that Lightning leaves."""
    with patch.dict(os.environ):
        yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures('own_process_group')
def test_lightning_trains_with_ddp():
    plain, distributed = build(), build()
    data = InteractionDataModule(DATA, batch_size=16)
    options = {'max_steps': 2, 'limit_val_batches': 0}
    trainer(**options).fit(plain, data)
    trainer(**options, strategy='ddp_find_unused_parameters_true', devices=1).fit(
        distributed, data
    )
    torch.testing.assert_close(distributed.state_dict(), plain.state_dict())


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'lr': 0.0}, "'lr' must be above 0, got 0.0"),
        ({'capture': 'no'}, "'capture' must be True or False, got 'no'"),
        ({'ks': (16,)}, "'ks' must be at most 15, the number of items, got 16"),
        ({'ks': ()}, "'ks' must hold at least one cut-off"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        build(**change)
