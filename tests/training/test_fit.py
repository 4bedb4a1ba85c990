from __future__ import annotations

import copy
import csv
import errno
import io
import json
import math
import os
import shutil
import signal
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric.loggers import tensorboard as tensorboard_logs
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    StochasticWeightAveraging,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger
from torch_geometric.data import HeteroData

import pyg_irllrec
from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.nn import EASE, AlphaRec, IRLLRec, LightGCN, Popularity, Recommender
from pyg_irllrec.training import (
    InteractionDataModule,
    LitRecommender,
    RunFolder,
    evaluate,
    evaluate_ranker,
    fit,
    load_weights,
)
from pyg_irllrec.training._result_files import peak_memory_mb
from pyg_irllrec.transforms import SplitInteractions
from pyg_irllrec.utils import bipartite_edge_index, files
from pyg_irllrec.utils.files import WriteError
from pyg_irllrec.utils.folder_lock import FolderLock
from pyg_irllrec.utils.trained_nodes import check_trained_nodes
from tests.training.graphs import pretend_graphs

RATES = ('user', 'rates', 'item')
DATA = SyntheticIntents(60, 50, num_intents=4)[0]


def build(seed=0, **kwargs):
    torch.manual_seed(seed)
    edge_index = bipartite_edge_index(DATA['user', 'rates', 'item'].edge_index, 60, 50)
    texts = {
        kind: torch.cat([DATA['user'][kind], DATA['item'][kind]])
        for kind in ('profile', 'intent')
    }
    backbone = LightGCN(60, 50, 8, num_intents=4, edge_dropout=0.1)
    return IRLLRec(backbone, edge_index, **texts, **kwargs)


def run(out, model=None, **kwargs):
    module = InteractionDataModule(DATA, batch_size=64)
    options = {
        'epochs': 4,
        'check_every': 2,
        'device': 'cpu',
        'progress': False,
        **kwargs,
    }
    return fit(model or build(), module, out, **options)


def test_learns_and_writes_its_results(tmp_path, capsys):
    model = build()
    first = model.eval().get_embeddings()
    result = run(tmp_path, model, epochs=10, lr=1e-2, progress=True)
    module = InteractionDataModule(DATA)
    before = evaluate(*first, module.test_items, module.train_items)
    assert result.test['recall@20'] > before['recall@20']
    # The model has the best weights, which give the reported metrics.
    after = evaluate(
        *model.eval().get_embeddings(), module.test_items, module.train_items
    )
    assert after == pytest.approx(result.test, abs=1e-6)
    assert result.best_epoch in [row['epoch'] for row in result.history]
    assert [row['epoch'] for row in result.history][:3] == [2, 4, 6]
    assert {'loss', 'ranking', 'translation', 'recall@5', 'ndcg@20'} <= result.history[
        0
    ].keys()
    assert result.seconds_per_step > 0 and result.peak_memory_mb > 0
    assert 'training' in capsys.readouterr().err
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {'best.ckpt', 'last.ckpt', 'history.csv', 'metrics.json'}
    assert json.loads((tmp_path / 'metrics.json').read_text())['test'] == result.test
    with open(tmp_path / 'history.csv') as file:
        rows = list(csv.DictReader(file))
    assert [float(row['recall@20']) for row in rows] == [
        row['recall@20'] for row in result.history
    ]


@pytest.mark.parametrize('validates', [True, False])
def test_the_history_is_written_during_training(tmp_path, validates):
    class Stop(Callback):
        def on_train_batch_start(self, trainer, *_):
            if trainer.current_epoch == 3:
                raise ValueError('stop')

    data = copy.copy(DATA)
    if not validates:
        del data[RATES].val_edge_label_index, data[RATES].test_edge_label_index
    module = InteractionDataModule(data, unsplit=not validates)
    with pytest.raises(ValueError, match='stop'):
        fit(
            build(),
            module,
            tmp_path,
            epochs=9,
            check_every=2,
            device='cpu',
            callbacks=[Stop()],
            progress=False,
        )
    with open(tmp_path / 'history.csv') as file:
        rows = list(csv.DictReader(file))
    assert [row['epoch'] for row in rows] == ['2']
    assert ('recall@20' in rows[0]) == validates


def test_the_same_seed_gives_the_same_run(tmp_path):
    first, second = run(tmp_path / 'a'), run(tmp_path / 'b')
    assert first.test == second.test and first.history == second.history
    assert run(tmp_path / 'c', seed=1).history != first.history


@pytest.mark.parametrize('epochs', [1, 3])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, epochs):
    whole, resumed = build(), build()
    expected = run(tmp_path / 'whole', whole)
    run(tmp_path / 'parts', build(), epochs=epochs)
    result = run(tmp_path / 'parts', resumed, resume=True)
    assert result.test == expected.test
    if epochs == 3:  # A run of one epoch has validated once more, at its end.
        assert result.history == expected.history
    state = resumed.state_dict()
    assert all(
        torch.equal(value, state[name]) for name, value in whole.state_dict().items()
    )


@pytest.mark.parametrize('captures', [(True, True), (True, False), (False, True)])
def test_a_captured_run_equals_an_eager_one(captures, tmp_path, monkeypatch):
    """Begun and resumed with and without capture, with a stand-in for CUDA graphs."""
    expected = run(tmp_path / 'plain', average=0.9)
    made = pretend_graphs(monkeypatch)
    begun, resumed = captures
    run(tmp_path / 'run', epochs=2, average=0.9, capture=begun)
    result = run(tmp_path / 'run', average=0.9, capture=resumed, resume=True)
    assert result.history == expected.history and result.test == expected.test
    plain, other = (
        torch.load(tmp_path / name / 'last.ckpt', weights_only=True)
        for name in ('plain', 'run')
    )
    for name in (
        'state_dict',
        'optimizer_states',
        'global_step',
        'current_model_state',
    ):
        torch.testing.assert_close(other[name], plain[name], rtol=0, atol=0)
    assert [each.calls.count('capture') for each in made] == [1] * sum(captures)


def test_stops_early(tmp_path):
    result = run(tmp_path, lr=1e-9, epochs=50, check_every=1, patience=2)
    assert result.history[-1]['epoch'] < 20
    resumed = run(tmp_path, lr=1e-9, epochs=50, check_every=1, patience=2, resume=True)
    assert resumed.history == result.history and resumed.test == result.test
    # It ran no step, so the recorded cost remains.
    assert resumed == result and result.seconds_per_step > 0
    (tmp_path / 'metrics.json').unlink()
    resumed = run(tmp_path, lr=1e-9, epochs=50, check_every=1, patience=2, resume=True)
    assert resumed.seconds_per_step is None


def test_the_time_of_a_step_is_measured_if_an_epoch_has_one_step(tmp_path):
    module = InteractionDataModule(DATA, batch_size=10_000)
    result = fit(build(), module, tmp_path, epochs=2, device='cpu', progress=False)
    assert result.seconds_per_step > 0


@pytest.mark.parametrize('held_out', ['nothing', 'validation', 'test'])
def test_without_validation_or_test(tmp_path, held_out):
    data = copy.copy(DATA)
    rates = data[RATES]
    for name in {'validation': ['test'], 'test': ['val']}.get(
        held_out, ['val', 'test']
    ):
        del rates[f'{name}_edge_label_index']
    module = InteractionDataModule(data, unsplit=held_out == 'nothing', batch_size=64)
    model = build()
    options = {'check_every': 2, 'patience': 1, 'device': 'cpu', 'progress': False}
    result = fit(model, module, tmp_path, epochs=3, **options)
    assert bool(result.test) == (held_out == 'test')
    if held_out != 'validation':
        assert [row['epoch'] for row in result.history] == [2, 3]
        assert result.best_epoch == 3 and 'recall@20' not in result.history[0]
    saved = build(seed=1)
    load_weights(saved, tmp_path / 'best.ckpt')
    for name, value in saved.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    more = fit(build(), module, tmp_path, epochs=4, resume=True, **options)
    assert more.history[-1]['epoch'] == 4


def test_a_diverging_run_raises(tmp_path):
    with pytest.raises(ValueError, match=r"training diverged: 'loss' is (nan|inf) in"):
        run(tmp_path, lr=1e18)


def test_a_loss_that_is_not_finite_in_the_first_step_is_another_error(tmp_path):
    model = build()
    torch.nn.init.constant_(next(model.backbone.parameters()), math.nan)
    with pytest.raises(ValueError, match='must be finite before training, got nan in'):
        run(tmp_path, model, epochs=2)


def test_a_moved_run_keeps_its_best_checkpoint(tmp_path):
    whole = run(tmp_path / 'whole', epochs=12, lr=0.1, patience=9)
    run(tmp_path / 'a', epochs=6, lr=0.1, patience=9)
    (tmp_path / 'a').rename(tmp_path / 'b')
    result = run(tmp_path / 'b', epochs=12, lr=0.1, patience=9, resume=True)
    assert result.test == whole.test and result.best_epoch == whole.best_epoch
    assert not (tmp_path / 'a').exists()


def test_a_run_is_resumed_with_the_settings_that_it_was_begun_with(tmp_path):
    run(tmp_path, epochs=2)
    for change in ({'lr': 0.5}, {'seed': 3}, {'patience': 7}, {'ks': (5, 20)}):
        (name,) = change
        with pytest.raises(ValueError, match=f'the run was begun with {name}='):
            run(tmp_path, resume=True, **change)
    with pytest.raises(ValueError, match='embedding_dim 8, not 4'):
        edge_index = bipartite_edge_index(DATA[RATES].edge_index, 60, 50)
        run(tmp_path, IRLLRec(LightGCN(60, 50, 4), edge_index), resume=True)
    with pytest.raises(
        ValueError, match="'epochs' must be at least 2, the number of epochs"
    ):
        run(tmp_path, epochs=1, resume=True)


@pytest.mark.parametrize('other', ['split', 'text', 'batch_size', 'seed', 'version'])
def test_a_run_is_resumed_with_the_data_that_it_was_begun_with(
    tmp_path, monkeypatch, other
):
    """Otherwise, it would be tested on training interactions."""
    noise = torch.randint(0, 50, (12, 60), generator=torch.manual_seed(0))
    user = torch.arange(60).repeat(12)
    graph = HeteroData()
    graph['user'].num_nodes, graph['item'].num_nodes = 60, 50
    graph[RATES].edge_index = torch.stack([user, noise.flatten()]).unique(dim=1)
    options = {'check_every': 2, 'device': 'cpu', 'progress': False}

    def go(epochs, split=0, text=0, batch_size=64, seed=0, **more):
        data = SplitInteractions('random', seed=split)(copy.copy(graph))
        torch.manual_seed(text)
        for side in ('user', 'item'):
            data[side].profile = torch.randn(data[side].num_nodes, 6)
        model = build_model(data, alignment='profile')
        module = InteractionDataModule(data, batch_size=batch_size, seed=seed)
        return fit(model, module, tmp_path, epochs=epochs, **options, **more)

    go(2)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    change = {} if other == 'version' else {other: 32}
    if other == 'version':
        monkeypatch.setattr(pyg_irllrec, '__version__', '9.9')
    word = {
        'version': r'the version of pyg_irllrec .*, not 9\.9',
        'split': 'other training interactions; .*; other test interactions; ano',
        'text': "other 'profile' of the model",
        'batch_size': 'batch_size 64, not 32',
        'seed': 'seed 0, not 32',
    }
    with pytest.raises(
        ValueError, match=f'the run in .* was begun with .*{word[other]}'
    ):
        go(4, resume=True, **change)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
    monkeypatch.undo()
    assert go(4, resume=True).history[-1]['epoch'] == 4


def test_leaves_the_generator_of_the_caller_alone(tmp_path):
    model = build()
    state = torch.get_rng_state()
    run(tmp_path, model, epochs=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_data_of_another_size(tmp_path):
    data = InteractionDataModule(SyntheticIntents(40, 30)[0])
    with pytest.raises(
        ValueError, match="must have the users and items of 'model', 60"
    ):
        fit(build(), data, tmp_path / 'out')


def test_nothing_to_resume(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'holds no last\.ckpt to resume from'):
        run(tmp_path / 'none', resume=True)
    assert not (tmp_path / 'none').exists()


def test_a_damaged_checkpoint(tmp_path):
    run(tmp_path, epochs=1)
    last = tmp_path / 'last.ckpt'
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(
        ValueError, match=r'last\.ckpt is not a checkpoint.*To resume, res'
    ):
        run(tmp_path, resume=True)
    checkpoint = torch.load(tmp_path / 'best.ckpt', weights_only=True)
    for name in ('loops', 'optimizer_states'):
        part = {key: value for key, value in checkpoint.items() if key != name}
        torch.save(part, last)
        with pytest.raises(ValueError, match=f'got one without its {name}: restore it'):
            run(tmp_path, resume=True)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'epochs': 0}, "'epochs' must be an integer of at least 1, got 0"),
        ({'epochs': 2.5}, "'epochs' must be an integer of at least 1, got 2.5"),
        ({'patience': 0}, "'patience' must be an integer of at least 1"),
        ({'lr': 0.0}, "'lr' must be above 0"),
        ({'ks': (60,)}, "'ks' must be at most 50, the number of items, got 60"),
        ({'ks': ()}, "'ks' must hold at least one cut-off"),
        ({'ks': (60,)}, r'got 60: use fitting_cutoffs\(num_items\)'),
        ({'seed': -1}, r"'seed' must be an integer from 0 to 2\*\*63 - 1, got -1"),
        ({'seed': 0.5}, "'seed' must be an integer from 0"),
        ({'check_every': 1.5}, "'check_every' must be an integer"),
        ({'strategy': 'fsdp'}, "'strategy' must be 'ddp' or a DDPStrategy of .*'fsdp'"),
        ({'devices': 0}, "'devices' must be an integer of at least 1"),
        ({'precision': '16-mixed'}, "'precision' must be one of '32-true', 'tf32', "),
        ({'logger': 'wandb'}, "'logger' must be None, 'csv', 'tensorboard' or a Logg"),
        ({'logger': True}, "'logger' must be .* got bool"),
        ({'device': 'tpu9'}, "'device' must be 'auto', 'cpu', 'cuda' or 'cuda:N'"),
        ({'device': 'mps'}, "'device' must be 'auto', 'cpu'"),
        (
            {'device': 'cuda:99'},
            "'device' must exist, got 'cuda:99', but this machine",
        ),
    ],
)
def test_wrong_arguments_write_nothing(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path / 'out', **change)
    assert not (tmp_path / 'out').exists()


def test_wrong_objects_are_named(tmp_path):
    model, data, out = build(), InteractionDataModule(DATA), tmp_path / 'out'
    for arguments, message in (
        ((model, DATA, out), r"'data' must be an InteractionDataModule, got HeteroDa"),
        ((model, [DATA], out), r'got list: pass InteractionDataModule'),
        ((data, model, out), r"'model' must be a Recommender, got InteractionDataM"),
        ((model, out, data), r"'data' must .*Path: fit\(model, data, out\)"),
        ((model, data, None), r"'out' must be the path of a folder, got NoneType"),
        (
            (model.backbone, data, out),
            r'got LightGCN: pass Recommender\(backbone, edge_index\)',
        ),
        ((LitRecommender(model), data, out), r'got LitRecommender: pass its .model'),
    ):
        with pytest.raises(ValueError, match=message):
            fit(*arguments)
    out.write_text('mine')
    for path in (out, out / 'run'):
        with pytest.raises(ValueError, match=r"'out' must be a folder, but .*out is"):
            fit(model, data, path)
    assert out.read_text() == 'mine'


@pytest.mark.parametrize('name', ['best.ckpt', 'last.ckpt', 'metrics.json'])
def test_a_run_is_never_overwritten(tmp_path, name):
    (tmp_path / name).write_bytes(b'dear')
    with pytest.raises(ValueError, match=r"'out' must not hold a run.* resume=True"):
        run(tmp_path)
    assert (tmp_path / name).read_bytes() == b'dear'


def test_a_folder_in_use_is_refused(tmp_path):
    """The second run may come from fit or from RunFolder."""
    held = (tmp_path / 'last.ckpt', tmp_path / 'config.json')
    for path in held:
        path.write_text('dear')
    with FolderLock(tmp_path):
        for options in ({}, {'resume': True}):
            with pytest.raises(OSError, match='in use by another run'):
                run(tmp_path, **options)
            with pytest.raises(OSError, match='in use by another run'):
                RunFolder(tmp_path).open({}, **options)
    assert all(path.read_text() == 'dear' for path in held)


def test_a_folder_that_was_opened_is_trained_in_once(tmp_path):
    folder = RunFolder(tmp_path / 'run')
    folder.open({})
    refused = []

    def second() -> None:
        try:
            RunFolder(folder.path).open({'seed': 1})
        except OSError as error:
            refused.append(str(error))

    thread = threading.Thread(target=second)
    thread.start()
    thread.join()
    assert len(refused) == 1 and folder.read_config() == {}
    run(folder.path, epochs=1)
    assert not (folder.path / '.lock').exists()
    thread = threading.Thread(target=second)  # The first has ended.
    thread.start()
    thread.join()
    assert len(refused) == 1 and folder.read_config() == {'seed': 1}


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    model = build()
    return run(tmp_path_factory.mktemp('whole'), model), model


@pytest.mark.parametrize(
    ('name', 'where'),
    [
        *(('last.ckpt', 'write'), ('last.ckpt', 'replace'), ('best.ckpt', 'write')),
        *(('history', 'write'), ('metrics', 'replace')),
    ],
)
def test_a_full_disk_is_reported_and_the_run_can_be_resumed(
    tmp_path, monkeypatch, undisturbed, name, where
):
    """For each file that is written."""
    (expected, whole), resumed = undisturbed, build()
    out, again = tmp_path / 'run', name != 'best.ckpt'
    if again:
        run(out, epochs=2)
    with monkeypatch.context() as patch:
        fill_disk(patch, name, where)
        with pytest.raises(
            WriteError, match=rf'{name}.* could not be written: No space left on device'
        ):
            run(out, resume=again)
    assert not list(out.glob('.*'))
    for path in out.glob('*.ckpt'):
        torch.load(path, weights_only=True)
    assert run(out, resumed, resume=True).test == expected.test
    for one, other in zip(resumed.parameters(), whole.parameters()):
        assert torch.equal(one, other)


def fill_disk(patch, name, where):
    """Let all writes to files of this name fail."""
    full = OSError(errno.ENOSPC, 'No space left on device')
    if where == 'replace':
        replace = os.replace

        def refuse(source, target):
            if name in str(target):
                raise full
            replace(source, target)

        patch.setattr(os, 'replace', refuse)
        return

    class Full(io.FileIO):
        def write(self, data):
            raise full

    def open_full(path, mode='r', *args, **kwargs):
        if name in str(path) and mode[0] == 'w':
            file = Full(path, 'w')
            return file if 'b' in mode else io.TextIOWrapper(file)
        return open(path, mode, *args, **kwargs)

    patch.setattr(files, 'open', open_full, raising=False)


def test_held_out_pairs_in_the_graph_of_the_model(tmp_path):
    """The model would learn from them."""
    test = DATA[RATES].test_edge_label_index

    def go(extra):
        data = copy.copy(DATA)
        data[RATES].edge_index = torch.cat([DATA[RATES].edge_index, extra], dim=1)
        model = build_model(data, alignment='none')
        return fit(
            *(model, InteractionDataModule(DATA), tmp_path / str(extra.size(1))),
            **{'epochs': 1, 'device': 'cpu', 'progress': False},
        )

    with pytest.raises(ValueError, match=rf'{test.size(1)} of {test.size(1)} test int'):
        go(test)
    with pytest.warns(UserWarning, match=rf'2 of {test.size(1)} test .* the model.s g'):
        go(test[:, :2])
    assert not (tmp_path / str(test.size(1))).exists()


def test_triplets_of_other_data_than_the_graph(tmp_path):
    other = copy.copy(DATA)
    shift = torch.tensor([[0], [3]])
    edge_index = (DATA[RATES].edge_index + shift) % torch.tensor(
        [[DATA['user'].num_nodes], [DATA['item'].num_nodes]]
    )
    other[RATES].edge_index = edge_index[:, :5]
    model = build_model(other, alignment='none')
    with pytest.warns(UserWarning, match='training interactions are edges of the mod'):
        fit(
            *(model, InteractionDataModule(DATA), tmp_path),
            **{'epochs': 1, 'device': 'cpu', 'progress': False},
        )


def moments(change):
    def apply(checkpoint):
        for state in checkpoint['optimizer_states'][0]['state'].values():
            change(state)

    return apply


@pytest.mark.parametrize(
    ('name', 'change'),
    [
        ('optimizer_states', moments(lambda x: x.update(exp_avg=torch.zeros(2)))),
        ('optimizer_states', moments(lambda x: x['exp_avg'].fill_(torch.nan))),
        ('optimizer_states', moments(lambda x: x['exp_avg_sq'][..., 0].fill_(-1))),
        ('optimizer_states', moments(lambda x: x.pop('step'))),
        ('optimizer_states', lambda x: x['optimizer_states'][0]['state'][1].clear()),
        ('optimizer_states', lambda x: x.update(optimizer_states=[])),
        ('optimizer_states', lambda x: x.update(optimizer_states=[{}])),
        (
            'optimizer_states',
            lambda x: x['optimizer_states'][0].update(state={99: 1}),
        ),
        (
            'optimizer_states',
            lambda x: x['optimizer_states'][0]['param_groups'][0].update(lr=9.0),
        ),
        ('loops', lambda x: x.update(loops={})),
        ('loops', lambda x: x['loops'].update(fit_loop={'state_dict': {}})),
        ('loops', lambda x: x['loops']['fit_loop'].update(epoch_progress='x')),
        ('EarlyStopping callback', lambda x: x.update(callbacks={})),
        (
            'callbacks',
            lambda x: x.update(callbacks={key: {} for key in x['callbacks']}),
        ),
        ('no fingerprint', lambda x: x['fingerprint'].update(model={1: '2'})),
        ('no fingerprint', lambda x: x.pop('fingerprint')),
    ],
)
def test_a_crafted_checkpoint_is_refused(tmp_path, undisturbed_folder, name, change):
    """Moments of another shape would crash the process."""
    shutil.copytree(undisturbed_folder, tmp_path / 'run')
    last = tmp_path / 'run' / 'last.ckpt'
    checkpoint = torch.load(last, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, last)
    with pytest.raises(ValueError, match=rf'{name}|best\.ckpt must be the best'):
        run(tmp_path / 'run', epochs=6, resume=True)


@pytest.fixture(scope='module')
def undisturbed_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('undisturbed')
    run(folder)
    return folder


def test_the_best_checkpoint_must_be_of_the_run(tmp_path, undisturbed_folder):
    """It is needed for the test, at the end of the training."""
    run(tmp_path / 'other', build(1))
    shutil.copytree(undisturbed_folder, tmp_path / 'run')
    best, last = tmp_path / 'run' / 'best.ckpt', tmp_path / 'run' / 'last.ckpt'
    before = last.read_bytes()
    for other in (tmp_path / 'other' / 'best.ckpt', None):
        best.unlink()
        if other is not None:
            shutil.copy(other, best)
        with pytest.raises(ValueError, match=r'best\.ckpt (must be|of its run)'):
            run(tmp_path / 'run', epochs=6, resume=True)
        assert last.read_bytes() == before
    shutil.copy(undisturbed_folder / 'best.ckpt', best)
    assert run(tmp_path / 'run', epochs=6, resume=True).history[-1]['epoch'] == 6


class Changing(LightGCN):
    """Training changes a public counter, a private one, and an unsaved tensor."""

    def __init__(self):
        super().__init__(60, 50, 8)
        self.steps, self._steps = 0, 0
        self.register_buffer('mask', torch.ones(3), persistent=False)
        self.register_buffer('other', torch.ones(3), persistent=False)

    def forward(self, *args, **kwargs):
        if self.training:
            self.steps, self._steps = self.steps + 1, self._steps + 1
            self.mask = torch.rand(3)
            self.other.add_(1)
        return super().forward(*args, **kwargs)


def test_values_that_training_changes_are_not_settings(tmp_path):
    graph = bipartite_edge_index(DATA[RATES].edge_index, 60, 50)

    def build_one():
        torch.manual_seed(0)
        return Recommender(Changing(), graph)

    whole = run(tmp_path / 'whole', build_one(), epochs=6)
    model = build_one()
    run(tmp_path / 'run', model, epochs=2)
    load_weights(model, tmp_path / 'run' / 'best.ckpt')
    load_weights(build_one(), tmp_path / 'run' / 'best.ckpt')
    found = run(tmp_path / 'run', build_one(), epochs=6, resume=True)
    assert found.test == whole.test
    other = build_one()
    other.backbone.num_layers = 1  # This is a setting.
    with pytest.raises(ValueError, match='num_layers 3, not 1'):
        load_weights(other, tmp_path / 'run' / 'best.ckpt')


def test_memory_is_counted_in_megabytes(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'max_memory_allocated', lambda device: 3 * 2**20)
    assert peak_memory_mb(torch.device('cuda')) == 3


def test_the_nodes_of_the_training_are_remembered(tmp_path):
    model, data = build(), copy.copy(DATA)
    data['item'].id = list(range(50))
    fit(
        *(model, InteractionDataModule(data), tmp_path),
        **{'epochs': 1, 'device': 'cpu', 'progress': False},
    )
    data['item'].id = list(range(50))[::-1]
    with pytest.raises(ValueError, match=r"'data' must hold the ids .* trained with"):
        check_trained_nodes(model, data, ('user', 'item'))


@pytest.mark.parametrize('direction', ['to items', 'to users'])
def test_held_out_pairs_in_one_direction_of_the_graph(tmp_path, direction):
    user, item = DATA[RATES].test_edge_label_index
    edge = torch.stack([user, item + 60])
    leak = edge if direction == 'to items' else edge.flip(0)
    graph = bipartite_edge_index(DATA[RATES].edge_index, 60, 50).as_tensor()
    model = Recommender(LightGCN(60, 50, 8), torch.cat([graph, leak], dim=1))
    with pytest.raises(ValueError, match=r"test interactions are edges of the model's"):
        run(tmp_path / 'out', model)
    model = Recommender(LightGCN(60, 50, 8), torch.cat([graph, leak[:, :2]], dim=1))
    with pytest.warns(UserWarning, match=r'2 of \d+ test interactions are edges'):
        run(tmp_path / 'out', model, epochs=1)


def test_held_out_pairs_that_a_backbone_was_built_from(tmp_path):
    """The texts of users are means over them."""
    train, test = DATA[RATES].edge_index, DATA[RATES].test_edge_label_index
    graph, text = bipartite_edge_index(train, 60, 50), torch.randn(50, 6)

    def build_from(pairs):
        return Recommender(AlphaRec(60, 50, text, pairs, 8), graph)

    with pytest.raises(ValueError, match=r"'interactions' of the model's backbone"):
        run(tmp_path / 'out', build_from(torch.cat([train, test], dim=1)))
    some = build_from(torch.cat([train, test[:, :2]], dim=1))
    with pytest.warns(UserWarning, match=r'2 of \d+ test interactions are among'):
        run(tmp_path / 'some', some, epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        run(tmp_path / 'honest', build_from(train), epochs=1)


def test_a_trained_model_continues_with_a_warning(tmp_path):
    model = build()
    run(tmp_path / '1', model, epochs=1)
    with pytest.warns(UserWarning, match='has been trained by fit'):
        run(tmp_path / '2', model, epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        run(tmp_path / '2', model, epochs=2, resume=True)
        model.reset_parameters()
        run(tmp_path / '3', model, epochs=1)


def test_threads_train_one_after_the_other(tmp_path):
    """They share torch's generator, which edge dropout draws from."""
    expected = run(tmp_path / 'alone', build(), epochs=3).history[-1]['loss']
    models, found = [build(), build()], {}

    def train(number):
        result = run(tmp_path / str(number), models[number], epochs=3)
        found[number] = result.history[-1]['loss']

    threads = [threading.Thread(target=train, args=(k,)) for k in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: expected, 1: expected}


def test_a_termination_stops_cleanly(tmp_path, monkeypatch):
    expected = run(tmp_path / 'whole', epochs=3)
    start = LitRecommender.on_train_epoch_start

    def stop(self):
        start(self)
        if self.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(LitRecommender, 'on_train_epoch_start', stop)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / 'run', epochs=3)
    assert run(tmp_path / 'run', epochs=3, resume=True).test == expected.test


def test_cutoffs_fit_the_catalogue_unless_nothing_is_ranked(tmp_path):
    small = SyntheticIntents(12, 8, num_intents=2)[0]
    edge_index = bipartite_edge_index(small[RATES].edge_index, 12, 8)
    options = {'epochs': 1, 'device': 'cpu', 'progress': False}

    def fit_small(name, data, **more):
        model = Recommender(LightGCN(12, 8, 4), edge_index)
        return fit(model, data, tmp_path / name, **options, **more)

    result = fit_small('split', InteractionDataModule(small))
    assert set(result.test) == {'recall@5', 'ndcg@5'}
    for key in ('val', 'test'):
        del small[RATES][f'{key}_edge_label_index']
    data = InteractionDataModule(small, unsplit=True)
    assert fit_small('all', data, ks=(20,)).test == {}
    with pytest.raises(ValueError, match="'ks' must be an integer of at least 1"):
        fit_small('bad', data, ks=(0,))


def test_numbers_of_numpy_are_read_back(tmp_path):
    options = {'seed': np.int64(3), 'ks': (np.int64(5),), 'lr': np.float64(1e-3)}
    run(tmp_path, epochs=1, patience=np.int64(2), **options)
    run(tmp_path, epochs=2, patience=2, resume=True, **options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_on_a_gpu(tmp_path):
    result = run(tmp_path, device='cuda')
    assert result.test['recall@20'] > 0


def test_a_checkpoint_whose_parameters_come_in_another_order(tmp_path):
    """The optimizer identifies them by position."""
    run(tmp_path, epochs=1)
    checkpoint = torch.load(tmp_path / 'last.ckpt', weights_only=True)
    state = checkpoint['state_dict']
    checkpoint['state_dict'] = dict(reversed(state.items()))
    torch.save(checkpoint, tmp_path / 'last.ckpt')
    with pytest.raises(ValueError, match='in another order'):
        run(tmp_path, epochs=2, resume=True)


def with_companions(seed=0):
    train = DATA[RATES].edge_index
    return build(seed, companions=[EASE(60, 50, train), Popularity(60, 50, train)])


@pytest.mark.parametrize('progress', [False, True])
def test_progress_also_applies_to_the_choice_of_a_blend(progress, tmp_path, capsys):
    run(tmp_path, with_companions(), epochs=1, progress=progress)
    line = 'choosing the options of EASE (50 items) and the blend on validation'
    assert (line in capsys.readouterr().err) == progress


def test_companions_are_blended_by_validation_and_saved(tmp_path):
    plain = run(tmp_path / 'plain')
    model = with_companions()
    result = run(tmp_path / 'blend', model)
    # They affect neither training nor the choice of the checkpoint.
    assert result.history == plain.history and result.best_epoch == plain.best_epoch
    module = InteractionDataModule(DATA)
    label, train = module.test_items, module.train_items
    assert model.blends and not model.companions[0].needs_calibration
    assert evaluate_ranker(model, label, train) == pytest.approx(result.test, abs=1e-6)
    assert result.test != plain.test
    saved = with_companions(seed=1)
    load_weights(saved, tmp_path / 'blend' / 'best.ckpt')
    assert torch.equal(saved.blend_weight, model.blend_weight)
    users = torch.arange(60)
    assert torch.equal(saved.eval().score(users), model.eval().score(users))
    last = with_companions()
    load_weights(last, tmp_path / 'blend' / 'last.ckpt')
    assert not last.blends
    values = [
        sum(evaluate_ranker(each, module.val_items, train, (20,)).values())
        for each in (model, *model.companions)
    ]
    assert values[0] >= max(values[1:])


@pytest.mark.parametrize('epochs', [2, 4])
def test_a_blend_is_resumed(tmp_path, epochs):
    whole, resumed = with_companions(), with_companions()
    expected = run(tmp_path / 'whole', whole)
    run(tmp_path / 'parts', with_companions(), epochs=epochs)
    result = run(tmp_path / 'parts', resumed, resume=True)
    assert result.test == expected.test and result.history == expected.history
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])
    # This also works for the model of an earlier call.
    result = run(tmp_path / 'parts', resumed, resume=True)
    assert result.test == expected.test


def test_without_validation_the_blend_does_not_change(tmp_path):
    data = copy.copy(DATA)
    del data[RATES].val_edge_label_index
    model = with_companions()
    model.blend_weight.copy_(torch.tensor([0.0, 1.0, 0.0]))
    module = InteractionDataModule(data, batch_size=64)
    options = {'epochs': 1, 'device': 'cpu', 'progress': False}
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        result = fit(model, module, tmp_path / 'chosen', **options)
    assert model.blend_weight.tolist() == [0, 1, 0]
    ease = EASE(60, 50, DATA[RATES].edge_index)
    assert result.test == evaluate_ranker(ease, module.test_items, module.train_items)
    with pytest.warns(UserWarning, match="the companions of 'model' have no weight"):
        fit(with_companions(), module, tmp_path / 'open', **options)


def test_a_companion_must_not_have_held_out_interactions(tmp_path):
    both = (DATA[RATES].edge_index, DATA[RATES].test_edge_label_index)
    companion = EASE(60, 50, torch.cat(both, dim=1))
    with pytest.raises(ValueError, match=r"test .* 'interactions' of .*companions\.0"):
        run(tmp_path, build(companions=[companion]))


def test_averages_weights(tmp_path):
    """A step per epoch: the average begins with the weights of the first."""
    states = []
    for epochs in (1, 2):
        model, out = build(), tmp_path / str(epochs)
        module = InteractionDataModule(DATA, batch_size=10**6)
        options = {'check_every': 1, 'average': 0.75, 'device': 'cpu', 'lr': 0.1}
        result = fit(model, module, out, epochs=epochs, progress=False, **options)
        states.append(torch.load(out / 'last.ckpt', weights_only=True))
    name = 'model.backbone.user_embedding.weight'
    first, second = (state['current_model_state'][name] for state in states)
    assert torch.equal(states[0]['state_dict'][name], first)
    average = states[1]['state_dict'][name]
    torch.testing.assert_close(average, 0.75 * first + 0.25 * second)
    # The average is validated, tested and saved.
    best = torch.load(tmp_path / '2' / 'best.ckpt', weights_only=True)
    for key, value in model.state_dict().items():
        assert torch.equal(value, best['state_dict'][f'model.{key}'])
    embeddings = model.eval().get_embeddings()
    for items, expected in (
        (module.test_items, result.test),
        (module.val_items, result.history[result.best_epoch - 1]),
    ):
        found = evaluate(*embeddings, items, module.train_items)
        assert (
            found.items() <= {k: pytest.approx(v) for k, v in expected.items()}.items()
        )


def test_an_averaged_run_is_resumed(tmp_path):
    options = {'average': 0.9, 'lr': 1e-2}
    whole, resumed = with_companions(), with_companions()
    expected = run(tmp_path / 'whole', whole, **options)
    run(tmp_path / 'parts', with_companions(), epochs=2, **options)
    with pytest.raises(ValueError, match=r'was begun with average=0\.9'):
        run(tmp_path / 'parts', build(), resume=True, lr=1e-2)
    result = run(tmp_path / 'parts', resumed, resume=True, **options)
    assert result.test == expected.test and result.history == expected.history
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])
    path = tmp_path / 'parts' / 'last.ckpt'
    checkpoint = torch.load(path, weights_only=True)
    for part, message in (
        ({}, 'must be the last checkpoint .* got one without its current_model_state'),
        ({'current_model_state': {}}, 'got other parts or sizes'),
    ):
        del checkpoint['current_model_state']
        checkpoint |= part
        torch.save(checkpoint, path)
        with pytest.raises(ValueError, match=message):
            run(tmp_path / 'parts', with_companions(), resume=True, epochs=6, **options)
        checkpoint['current_model_state'] = None


class Counting(Callback):
    """A callback of the user's own, with a state."""

    def __init__(self):
        self.epochs, self.best = 0, None

    def on_train_epoch_end(self, trainer, pl_module):
        self.epochs -= 1  # No counter of Lightning decreases.
        self.best = torch.tensor([float(trainer.callback_metrics['loss'])])

    def state_dict(self):
        return {'epochs': self.epochs, 'best': self.best}

    def load_state_dict(self, state_dict):
        self.epochs, self.best = state_dict['epochs'], state_dict['best']


def test_a_run_with_callbacks_is_resumed(tmp_path):
    whole, counting, resumed, again = build(), Counting(), build(), Counting()
    expected = run(tmp_path / 'whole', whole, callbacks=[counting])
    plain = run(tmp_path / 'plain')
    assert plain.history == expected.history and plain.test == expected.test
    part = tmp_path / 'part'
    run(part, epochs=2, callbacks=[Counting()])
    for given in (None, [EarlyStopping('val/recall@5')]):
        with pytest.raises(ValueError, match='was begun with, Counting, got'):
            run(part, callbacks=given, resume=True)
    result = run(part, resumed, callbacks=[again], resume=True)
    assert again.epochs == counting.epochs == -4 and again.best == counting.best
    assert result.history == expected.history and result.test == expected.test
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])


def test_callbacks_of_lightning(tmp_path):
    logger = CSVLogger(tmp_path / 'logs')
    callbacks = [
        ModelCheckpoint(monitor='val/ndcg@20', mode='max', filename='{epoch}'),
        EarlyStopping('val/recall@5', mode='max', patience=9),
        LearningRateMonitor(),
        TQDMProgressBar(),
    ]
    out = tmp_path / 'out'
    options = {'callbacks': callbacks, 'logger': logger, 'progress': True}
    run(out, epochs=2, **options)
    assert Path(callbacks[0].best_model_path).name == 'epoch=1.ckpt'
    assert Path(callbacks[0].best_model_path).is_relative_to(tmp_path)
    assert (Path(logger.log_dir) / 'metrics.csv').is_file()
    assert run(out, resume=True, **options).history[-1]['epoch'] == 4


@pytest.mark.parametrize(
    ('callbacks', 'message'),
    [
        (Counting(), "'callbacks' must be a list of Callbacks .* got Counting"),
        ([3], "'callbacks' must hold Callbacks of lightning.pytorch, got int"),
        ([Counting(), Counting()], "different state_keys, got two under 'Counting'"),
        ([TQDMProgressBar()], 'no progress bar with progress=False, got TQDMProg'),
        ([StochasticWeightAveraging(0.1)], r'average weights.* Pass average=0\.99'),
        ([EMAWeightAveraging()], r'average weights.* Pass average=0\.99'),
    ],
)
def test_invalid_callbacks(tmp_path, callbacks, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path / 'out', callbacks=callbacks)
    assert not (tmp_path / 'out').exists()


def test_checkpoints_of_callbacks_do_not_mix_with_those_of_the_run(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / 'out', filename='best')
    with pytest.raises(ValueError, match=r"'out' itself, .* with dirpath='.*out': pas"):
        run(tmp_path / 'out', callbacks=[checkpoint])


def test_a_state_that_could_not_be_read_back_is_refused(tmp_path):
    counting = Counting()
    counting.state_dict = lambda: {'when': object()}
    with pytest.raises(ValueError, match=r"callback 'Counting' must .* got a object"):
        run(tmp_path, callbacks=[counting])


def test_logs_to_csv(tmp_path):
    result = run(tmp_path, logger='csv', epochs=2)
    run(tmp_path, logger='csv', resume=True)
    first, second = (
        list(csv.DictReader(io.StringIO(path.read_text())))
        for path in sorted(tmp_path.glob('csv/version_*/metrics.csv'))
    )
    found = {name: value for row in first for name, value in row.items() if value}
    for name, value in result.history[-1].items():
        if name != 'epoch':
            part = 'val' if '@' in name else 'train'
            assert float(found[f'{part}/{name}']) == pytest.approx(value, rel=1e-5)
    assert float(found['test/recall@20']) == pytest.approx(result.test['recall@20'])
    assert {row['epoch'] for row in second} >= {'3'}


def test_logs_to_tensorboard(tmp_path, monkeypatch):
    pytest.importorskip('tensorboard')
    run(tmp_path / 'run', logger='tensorboard', epochs=2)
    assert list((tmp_path / 'run' / 'tensorboard').glob('events.*'))
    for name in ('tensorboard', 'tensorboardX', 'torch.utils.tensorboard'):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(tensorboard_logs, '_TENSORBOARD_AVAILABLE', False)
    monkeypatch.setattr(tensorboard_logs, '_TENSORBOARDX_AVAILABLE', False)
    with pytest.raises(ImportError, match='pip install tensorboard'):
        run(tmp_path / 'none', logger='tensorboard')
    assert not (tmp_path / 'none').exists()


@pytest.mark.parametrize('precision', ['bf16-mixed', '64-true', 'tf32'])
def test_precisions(tmp_path, precision):
    whole, resumed = build(), build()
    expected = run(tmp_path / 'whole', whole, precision=precision, epochs=2)
    run(tmp_path / 'part', precision=precision, epochs=1, check_every=1)
    run(tmp_path / 'parts', precision=precision, epochs=2)
    result = run(
        tmp_path / 'parts', resumed, precision=precision, epochs=2, resume=True
    )
    assert result.test == expected.test
    double = precision == '64-true'
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])
        assert (value.dtype == torch.float64) == (double and value.is_floating_point())
    other = build()
    load_weights(other, tmp_path / 'whole' / 'best.ckpt')
