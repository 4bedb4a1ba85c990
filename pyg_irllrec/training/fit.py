from __future__ import annotations

import csv
import json
import logging
import os
import statistics
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union
from weakref import WeakKeyDictionary

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    ModelCheckpoint,
)
from torch_geometric.data import HeteroData

from pyg_irllrec.nn import Backbone, Recommender
from pyg_irllrec.training._check_graph import check_graph
from pyg_irllrec.training._run_lock import training_in
from pyg_irllrec.training.atomic_checkpoint_io import AtomicCheckpointIO
from pyg_irllrec.training.cutoffs import fitting_cutoffs
from pyg_irllrec.training.fingerprint import same_run
from pyg_irllrec.training.interaction_data_module import InteractionDataModule
from pyg_irllrec.training.lit_recommender import LitRecommender
from pyg_irllrec.training.load_weights import load_weights
from pyg_irllrec.training.progress_bar import EpochProgressBar
from pyg_irllrec.training.run_folder import RunFolder
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import as_path, check_flag, check_name
from pyg_irllrec.utils.checks import check_choice, check_count, check_fraction
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.trained_nodes import remember_nodes
from pyg_irllrec.utils.warn_caller import warn_caller

_ONE_AT_A_TIME = threading.RLock()
"""Training seeds torch's generator, of which a process has one."""

_TRAINED: WeakKeyDictionary[Recommender, int] = WeakKeyDictionary()
"""The models that were trained here, with the changes of their weights until then."""


class FitResult(NamedTuple):
    r"""What a training run ends with."""

    test: dict[str, float]
    """Test metrics of the best checkpoint; empty without test interactions."""
    best_epoch: int
    """The epoch of the best validation Recall, from 1; without validation the last."""
    history: list[dict[str, float]]
    """A row per validation: epoch, mean loss terms, validation metrics. Without
    validation the rows hold no metrics."""
    seconds_per_step: float
    """The median time of a training step of this process; where it was resumed and had
    none left to do, the recorded one."""
    peak_memory_mb: float
    """The peak memory: of the process on a CPU (0 on Windows), of its tensors on a
    GPU."""
    fingerprint: dict[str, Any]
    """What the run was made from, see :func:`~pyg_irllrec.training.fingerprint`."""


def fit(
    model: Recommender,
    data: InteractionDataModule,
    out: PathLike,
    *,
    epochs: int = 1000,
    lr: float = 1e-3,
    check_every: int = 3,
    patience: int = 5,
    average: float = 0.0,
    ks: Optional[Sequence[int]] = None,
    seed: int = 0,
    device: Union[str, torch.device] = 'auto',
    precision: str = '32-true',
    resume: bool = False,
    progress: bool = True,
) -> FitResult:
    r"""Trains a model by the authors' protocol and tests its best checkpoint:
    validate every :obj:`check_every` epochs, stop after :obj:`patience` checks
    without a better Recall at the largest cut-off. The model ends with the best
    weights, on the device it was trained on, and torch's generator as it was. Where it
    has companions, their weights are then chosen on validation
    (:meth:`~pyg_irllrec.nn.Recommender.calibrate`) and saved in :obj:`best.ckpt`, and
    the test is one of the blend; without validation they stay as they are, and a
    warning states it where companions have none.

    Where nothing is held out for validation, it trains for all :obj:`epochs`, and the
    last weights are the best: choose them by a run with validation.

    Files under :obj:`out`: :obj:`best.ckpt`, :obj:`last.ckpt` (after every epoch),
    :obj:`history.csv` and :obj:`metrics.json`, each written whole or not at all. They
    hold the :func:`~pyg_irllrec.training.fingerprint` of the model and the data, with
    which alone the run is resumed. A second run, in whatever process or thread, is
    refused while this one is using :obj:`out`. Runs in several threads are trained one
    after the other, as torch's generator is one for all.

    It goes on from the weights that the model has. Where they are those of an earlier
    call, a warning states it.

    Args:
        model (Recommender): The model.
        data (InteractionDataModule): The interactions.
        out (str or pathlib.Path): The folder of the run. It need not exist.
        epochs (int): The most epochs. (default: :obj:`1000`)
        lr (float): The learning rate. (default: :obj:`1e-3`)
        check_every (int): Epochs between validations. (default: :obj:`3`)
        patience (int): Checks without a gain before it stops.
            (default: :obj:`5`)
        average (float): The decay of an exponential moving average of the weights, such
            as 0.99, taken after every step. It is validated, saved and tested in place
            of the weights, beside which it takes the memory of a second model with its
            graph and texts; 0 takes none. It needs Lightning 2.6.
            (default: :obj:`0.0`)
        ks (sequence of int, optional): The cut-offs. (default: :obj:`None`, those of
            :func:`~pyg_irllrec.training.fitting_cutoffs`)
        seed (int): The seed of the draws that the model makes in training. Those of
            batches and negatives have that of
            :class:`~pyg_irllrec.training.InteractionDataModule`.
            (default: :obj:`0`)
        device (str or torch.device): :obj:`"auto"`, :obj:`"cpu"`, :obj:`"cuda"` or
            :obj:`"cuda:N"`. (default: :obj:`"auto"`)
        precision (str): Lightning's: :obj:`"32-true"`, or :obj:`"bf16-mixed"` for
            text towers in :obj:`bfloat16`; losses and propagation stay in
            :obj:`float32`. (default: :obj:`"32-true"`)
        resume (bool): Whether to go on from :obj:`last.ckpt`.
            (default: :obj:`False`)
        progress (bool): Whether to show progress bars. (default: :obj:`True`)

    Raises:
        FileNotFoundError: If there is nothing to resume.
        ValueError: If an argument is out of range, :obj:`out` holds a run that is not
            to be resumed, the checkpoint is damaged, or of another model, other data or
            other settings, or the model's graph holds all that is held out. Where it
            holds a part, a warning counts it.
        OSError: If another run is using :obj:`out`, or a file cannot be written. What
            was written before is whole: go on with :obj:`resume=True`.
    """
    _check_model(model)
    _check_data(data)
    check_flag('resume', resume)
    check_flag('progress', progress)
    check_count('epochs', epochs)
    check_count('check_every', check_every)
    check_count('patience', patience)
    # Checkpoints hold plain types, no numbers of NumPy.
    epochs, check_every, patience = int(epochs), int(check_every), int(patience)
    check_fraction('average', average)
    check_choice('precision', precision, ('32-true', 'bf16-mixed'))
    target = parse_device(device)
    items = data.train_items
    if (items.num_users, items.num_items) != (model.num_users, model.num_items):
        raise ValueError(
            f"'data' must have the users and items of 'model', {model.num_users} and "
            f'{model.num_items}, got {items.num_users} and {items.num_items}'
        )
    check_graph(model, data)
    if ks is not None and data.val_items is None and data.test_items is None:
        ks = fitting_cutoffs(model.num_items, ks)  # There is nothing to rank.
    lit = LitRecommender(model, lr=lr, ks=ks, seed=seed)
    lit.settings |= {
        'check_every': check_every,
        'patience': patience,
        'precision': precision,
        'average': float(average),
    }
    out = _check_folder(out)
    with training_in(out), _ONE_AT_A_TIME:
        if resume:
            _check_resumable(out, epochs, lit, data.val_items is not None)
        else:
            _check_unused(out)
            _warn_of_trained(model)
            _warn_of_companions(model, data)
        result = _train(lit, data, out, epochs, target, resume, progress)
        _write(result, out)
    return result


def _train(
    lit: LitRecommender,
    data: InteractionDataModule,
    out: Path,
    epochs: int,
    target: torch.device,
    resume: bool,
    progress: bool,
) -> FitResult:
    r"""The run, in a folder that is checked and kept to it."""
    last, best = out / 'last.ckpt', out / 'best.ckpt'
    validates, tests = data.val_items is not None, data.test_items is not None
    mixed = lit.settings['precision'] == 'bf16-mixed'
    callbacks = _make_callbacks(out, lit.settings, validates)
    if progress:
        callbacks.append(EpochProgressBar())
    devices = [target] if target.type == 'cuda' else []
    with _quiet_lightning(), torch.random.fork_rng(devices):
        if target.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(target)
        trainer = Trainer(
            accelerator='gpu' if target.type == 'cuda' else 'cpu',
            devices=[target.index or 0] if target.type == 'cuda' else 1,
            precision='bf16-mixed' if mixed else '32-true',
            max_epochs=epochs,
            check_val_every_n_epoch=min(lit.settings['check_every'], epochs),
            num_sanity_val_steps=0,
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO()],
            logger=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
        )
        try:
            trainer.fit(lit, data, ckpt_path=last if resume else None)
        except SystemExit:  # What Lightning makes of a KeyboardInterrupt.
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise
        history = lit.history  # The best checkpoint holds an earlier one.
        if not validates:
            io = AtomicCheckpointIO()
            io.save_checkpoint(io.load_checkpoint(last), best)
        load_weights(lit.model, best)
        if lit.model.needs_calibration and validates:
            _calibrate(lit.model.to(target), data, best)
        if tests:
            # Given the checkpoint, it would load the weights that were averaged, and
            # not their average.
            trainer.test(lit, data, verbose=False)

    lit.model.to(target)
    remember_nodes(lit.model, data.node_hashes)
    _TRAINED[lit.model] = _count_changes(lit.model)
    seconds, memory = 0.0, _peak_memory_mb(target)
    if lit.step_seconds:
        seconds = statistics.median(lit.step_seconds)
    elif resume:  # There was nothing left to do.
        seconds, memory = _recorded(out) or (seconds, memory)
    return FitResult(
        test={
            name.removeprefix('test/'): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith('test/')
        },
        best_epoch=_best_epoch(history, f'recall@{lit.metrics.max_k}'),
        history=history,
        seconds_per_step=seconds,
        peak_memory_mb=memory,
        fingerprint=lit.fingerprint,
    )


def _calibrate(model: Recommender, data: InteractionDataModule, best: Path) -> None:
    r"""Chooses how the model, with its best weights, is blended with its companions,
    and adds that to their checkpoint."""
    assert data.val_items is not None
    model.calibrate(data.val_items, data.train_items)
    io = AtomicCheckpointIO()
    checkpoint = io.load_checkpoint(best)
    for name, value in model.state_dict().items():
        checkpoint['state_dict'][f'model.{name}'] = value.cpu()
    io.save_checkpoint(checkpoint, best)


def _make_callbacks(
    out: Path, settings: dict[str, Any], validates: bool
) -> list[Callback]:
    last = _ModelCheckpoint(
        dirpath=out,
        filename='last',
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    averaging = _make_averaging(settings['average'])
    if not validates:
        return [*averaging, last]
    stopping = _EarlyStopping(
        'val_recall',
        mode='max',
        patience=settings['patience'],
        check_on_train_epoch_end=False,
    )
    best = _ModelCheckpoint(
        dirpath=out,
        filename='best',
        monitor='val_recall',
        mode='max',
        enable_version_counter=False,
        save_on_train_epoch_end=False,
    )
    return [*averaging, stopping, best, last]


def _make_averaging(decay: float) -> list[Callback]:
    if decay == 0:
        return []
    try:
        from lightning.pytorch.callbacks import EMAWeightAveraging
    except ImportError:
        raise ImportError(
            "'average' above 0 needs Lightning 2.6 or newer: pip install --upgrade "
            'lightning'
        ) from None
    return [EMAWeightAveraging(decay=decay, use_buffers=False)]


def parse_device(device: Union[str, torch.device]) -> torch.device:
    r"""The torch device of a name.

    Raises:
        ValueError: If the name is unknown or there is no such device.
    """
    if device == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    allowed = "'auto', 'cpu', 'cuda' or 'cuda:N'"
    try:
        check_name('device', device := str(device))
        target = torch.device(device)
    except (RuntimeError, ValueError):
        raise ValueError(f"'device' must be {allowed}, got {device!r}") from None
    if target.type not in ('cpu', 'cuda'):
        raise ValueError(f"'device' must be {allowed}, got {device!r}")
    if target.type == 'cuda' and (target.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"'device' must be here, got {device!r} on a machine with "
            f'{torch.cuda.device_count()} CUDA devices'
        )
    return target


def _best_epoch(history: list[dict[str, float]], metric: str) -> int:
    r"""The epoch of the best value; the last one where there are no values."""
    rows = [row for row in history if metric in row] or history[-1:]
    return int(max(rows, key=lambda row: row.get(metric, 0.0))['epoch'])


def _write(result: FitResult, out: Path) -> None:
    fields = list(dict.fromkeys(name for row in result.history for name in row))
    with atomic_write(out / 'history.csv') as file:
        writer = csv.DictWriter(file, fields, lineterminator='\n')
        writer.writeheader()
        writer.writerows(result.history)
    with atomic_write(out / 'metrics.json') as file:
        values = result._asdict()
        del values['history']
        json.dump(values, file, indent=2)
        file.write('\n')


def _recorded(out: Path) -> Optional[tuple[float, float]]:
    r"""The time of a step and the peak memory that an earlier process recorded."""
    try:
        metrics = json.loads((out / 'metrics.json').read_text(encoding='utf-8'))
        return float(metrics['seconds_per_step']), float(metrics['peak_memory_mb'])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # On Windows.
        return 0.0

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == 'darwin' else peak / 2**10


_USAGE = 'fit(model, data, out)'


def _check_model(model: object) -> None:
    if isinstance(model, Recommender):
        return
    advice = _USAGE
    if isinstance(model, Backbone):
        advice = 'wrap it, Recommender(backbone, edge_index)'
    elif isinstance(model, LitRecommender):
        advice = 'pass its .model'
    raise ValueError(
        f"'model' must be a Recommender, got {type(model).__name__}: {advice}"
    )


def _check_data(data: object) -> None:
    if isinstance(data, InteractionDataModule):
        return
    advice = _USAGE
    if isinstance(data, HeteroData):
        advice = 'wrap it, InteractionDataModule(data)'
    elif isinstance(data, (list, tuple)):
        advice = 'wrap its graphs, InteractionDataModule(train, val, test)'
    raise ValueError(
        f"'data' must be an InteractionDataModule, got {type(data).__name__}: {advice}"
    )


def _check_folder(out: object) -> Path:
    if not isinstance(out, (str, os.PathLike)):
        raise ValueError(
            f"'out' must be the path of a folder, got {type(out).__name__}: {_USAGE}"
        )
    folder = Path(os.path.realpath(as_path('out', out)))
    for path in (folder, *folder.parents):
        if os.path.exists(path):
            if not path.is_dir():
                raise ValueError(f"'out' must be a folder, but {path} is a file")
            break
    return folder


def _count_changes(model: Recommender) -> int:
    r"""A number that goes up when weights are drawn anew, or loaded."""
    return sum(weight._version for weight in model.parameters())


def _warn_of_trained(model: Recommender) -> None:
    if _TRAINED.get(model) == _count_changes(model):
        warn_caller(
            "'model' has been trained by fit() and goes on from its weights: build "
            'another one, or draw them anew with model.reset_parameters(), for a new '
            'run'
        )


def _warn_of_companions(model: Recommender, data: InteractionDataModule) -> None:
    if model.needs_calibration and data.val_items is None and not model.blends:
        warn_caller(
            "the companions of 'model' have no weight, and nothing is held out to "
            'choose one: take those of a model that was fitted with validation, '
            'model.blend_weight.copy_(other.blend_weight) and '
            'model.companions.load_state_dict(other.companions.state_dict())'
        )


def _check_unused(out: Path) -> None:
    r"""Raises a :class:`ValueError` where a new run would overwrite another."""
    if RunFolder(out).has_results:
        raise ValueError(
            f"'out' must not hold a run, but {out} does: go on with resume=True, pass "
            f'another folder, or move it aside, RunFolder({str(out)!r}).open(config)'
        )


_RESUMED = ('loops', 'callbacks', 'optimizer_states', 'lr_schedulers')
"""What Lightning reads of a checkpoint beside its weights."""

_AVERAGED = ('current_model_state', 'averaging_state')
"""What it reads besides where weights are averaged."""

_RESTORE = 'restore it, or begin a new run in another folder'


def _check_resumable(
    out: Path, epochs: int, lit: LitRecommender, validates: bool
) -> None:
    last = out / 'last.ckpt'
    if not last.is_file():
        raise FileNotFoundError(f'{out} holds no last.ckpt to resume from')
    checkpoint = _read_to_resume(last)
    lit.check_settings(checkpoint['settings'])
    needed = _RESUMED + (_AVERAGED if lit.settings['average'] > 0 else ())
    missing = [name for name in needed if name not in checkpoint]
    callbacks = checkpoint.get('callbacks', {})
    for callback in _make_callbacks(out, lit.settings, validates):
        # Without its state, it would begin anew without a word.
        if not missing and not (
            isinstance(callbacks, dict) and callback.state_key in callbacks
        ):
            missing.append(f'{type(callback).__name__.lstrip("_")} callback')
    if missing:
        raise ValueError(
            f'{last} must be the last checkpoint of a run, got none of its '
            f'{", ".join(missing)}: {_RESTORE}'
        )
    if validates:
        _check_best(out / 'best.ckpt', checkpoint, f'recall@{lit.metrics.max_k}')
    done = checkpoint['epoch'] + 1
    if epochs < done:
        raise ValueError(
            f"'epochs' must be at least the {done} that are done, got {epochs}"
        )


def _read_to_resume(path: Path) -> dict[str, Any]:
    try:
        return AtomicCheckpointIO().load_checkpoint(path)
    except ValueError as error:
        raise ValueError(f'{error}. To resume, {_RESTORE}') from None


def _check_best(best: Path, last: dict[str, Any], metric: str) -> None:
    r"""Raises a :class:`ValueError` unless the best checkpoint is of the same run as
    the last one: it is what will be tested."""
    if not any(metric in row for row in last['history']):
        return  # It is still to come.
    if not best.is_file():
        raise ValueError(
            f'{best.parent} must hold the best.ckpt of its run to be resumed, got '
            f'none: {_RESTORE}'
        )
    found = _read_to_resume(best)
    shorter = min(len(found['history']), len(last['history']))
    # One that was written right before a kill is of an epoch that will be repeated.
    expected = found['epoch'] + 1
    if found['epoch'] <= last['epoch']:
        expected = _best_epoch(last['history'], metric)
    if (
        found['settings'] != last['settings']
        or not same_run(found.get('fingerprint'), last.get('fingerprint'))
        or found['history'][:shorter] != last['history'][:shorter]
        or found['epoch'] + 1 != expected
    ):
        raise ValueError(
            f'{best} must be the best checkpoint of the run in {best.parent}, of epoch '
            f'{expected}, got one of another run or epoch: {_RESTORE}'
        )


class _ModelCheckpoint(ModelCheckpoint):
    r"""Remembers its best checkpoint also where the folder of the run was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state, here = dict(state_dict), Path(str(self.dirpath))

        def moved(path: str) -> str:
            return str(here / Path(path).name) if path else path

        state['dirpath'] = str(here)
        for name in ('best_model_path', 'kth_best_model_path', 'last_model_path'):
            state[name] = moved(state[name])
        best = state['best_k_models']
        state['best_k_models'] = {moved(path): score for path, score in best.items()}
        super().load_state_dict(state)


class _EarlyStopping(EarlyStopping):
    r"""A run that had stopped early stays stopped when it is resumed."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    r"""Keeps Lightning's tips and device report out of the user's output."""
    logger = logging.getLogger('lightning.pytorch')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', module='lightning')
            warnings.filterwarnings('ignore', message='Sparse ')
            yield
    finally:
        logger.setLevel(level)
