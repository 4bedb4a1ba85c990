from __future__ import annotations

import statistics
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Optional, Union
from weakref import WeakKeyDictionary

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy

from pyg_irllrec.nn import Recommender
from pyg_irllrec.training._check_fit import (
    check_data,
    check_devices,
    check_folder,
    check_model,
    check_unused,
    rank_of_process,
)
from pyg_irllrec.training._check_graph import check_graph
from pyg_irllrec.training._fit_callbacks import (
    own_callbacks,
    read_callbacks,
    with_progress_bar,
)
from pyg_irllrec.training._fit_logger import check_logger, make_logger
from pyg_irllrec.training._history_callback import HistoryFile
from pyg_irllrec.training._matmul_precision import (
    check_matmul_precision,
    matmul_precision,
)
from pyg_irllrec.training._quiet_lightning import quiet_lightning
from pyg_irllrec.training._result_files import (
    best_epoch,
    peak_memory_mb,
    recorded_cost,
    write_result,
)
from pyg_irllrec.training._resume import check_resumable
from pyg_irllrec.training._run_lock import training_in
from pyg_irllrec.training.atomic_checkpoint_io import AtomicCheckpointIO
from pyg_irllrec.training.cutoffs import fitting_cutoffs
from pyg_irllrec.training.fit_result import FitResult
from pyg_irllrec.training.interaction_data_module import InteractionDataModule
from pyg_irllrec.training.lit_recommender import LitRecommender
from pyg_irllrec.training.load_weights import load_weights
from pyg_irllrec.training.parse_device import parse_device
from pyg_irllrec.training.sampled_data_module import SampledDataModule
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_choice, check_count, check_fraction
from pyg_irllrec.utils.trained_nodes import remember_nodes
from pyg_irllrec.utils.warn_caller import warn_caller

# Not every build of torch has it.
_NETWORK_ERRORS = getattr(torch.distributed, 'DistNetworkError', ())

PRECISIONS = ('32-true', 'tf32', 'bf16-mixed', '64-true')
"""TensorFloat-32 and the precisions of Lightning that are tested here."""

_ONE_AT_A_TIME = threading.RLock()
"""Training seeds torch's generator, which all threads of a process share."""

_TRAINED: WeakKeyDictionary[Recommender, int] = WeakKeyDictionary()
"""The models that :func:`fit` has trained, with :func:`_count_changes` after that."""


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
    devices: int = 1,
    strategy: Union[str, DDPStrategy] = 'ddp',
    precision: str = '32-true',
    capture: bool = True,
    callbacks: Optional[Sequence[Callback]] = None,
    logger: Union[str, Logger, None] = None,
    resume: bool = False,
    progress: bool = True,
) -> FitResult:
    r"""Train a model by the authors' protocol and test its best checkpoint. Validate
    every :obj:`check_every` epochs, and stop after :obj:`patience` checks without a
    better Recall at the largest cut-off.

    Afterwards, the model has the best weights and is on the device of the training, and
    torch's generator is in its earlier state. If the model has companions, their
    weights are then chosen on validation
    (:meth:`~pyg_irllrec.nn.Recommender.calibrate`) and saved in :obj:`best.ckpt`, and
    the test measures the blend. Without validation, the weights of companions do not
    change; if there are none yet, a warning is issued.

    Without validation interactions, the model is trained for all :obj:`epochs`, and the
    last weights are the best ones. Find the right number in a run with validation.

    The files under :obj:`out` are :obj:`best.ckpt`, :obj:`last.ckpt` (written after
    every epoch), :obj:`history.csv` (after every validation) and :obj:`metrics.json`
    (at the end). Each is written whole or
    not at all. They contain the :func:`~pyg_irllrec.training.fingerprint` of the model
    and the data, and a run is resumed only with equal ones. While a run is using
    :obj:`out`, a second run in any process or thread raises an error. Several threads
    train one after the other, because they share torch's generator.

    Training starts from the current weights of the model. If they are those of an
    earlier call, a warning is issued.

    Args:
        model (Recommender): The model.
        data (InteractionDataModule): The interactions.
        out (str or pathlib.Path): The folder of the run. It need not exist.
        epochs (int): The maximum number of epochs. (default: :obj:`1000`)
        lr (float): The learning rate. (default: :obj:`1e-3`)
        check_every (int): The number of epochs between validations.
            (default: :obj:`3`)
        patience (int): The number of validations without improvement after which
            training stops. (default: :obj:`5`)
        average (float): The decay of an exponential moving average of the weights, such
            as 0.99, updated after every step, or 0 for no average. The average is
            validated, saved and tested instead of the weights. It takes the memory of a
            second model, with its graph and texts, and needs Lightning 2.6.
            (default: :obj:`0.0`)
        ks (sequence of int, optional): The cut-offs. (default: :obj:`None`, those of
            :func:`~pyg_irllrec.training.fitting_cutoffs`)
        seed (int): The seed of the random numbers that the model draws in training.
            Batches and negatives have the seed of
            :class:`~pyg_irllrec.training.InteractionDataModule`.
            (default: :obj:`0`)
        device (str or torch.device): :obj:`"auto"`, :obj:`"cpu"`, :obj:`"cuda"` or
            :obj:`"cuda:N"`. (default: :obj:`"auto"`)
        devices (int): The number of devices of this machine, with one process per
            device. Results do not depend on it, up to the order of sums: all processes
            draw the same batches, and each computes a share of the loss, see
            :class:`~pyg_irllrec.distributed.DistributedLoss`. A run can be resumed with
            another number. (default: :obj:`1`)
        strategy (str or DDPStrategy): How several processes are started and
            synchronised. :obj:`"ddp"` runs the script again for each of them, unless
            :obj:`torchrun` has started them. Pass a strategy of Lightning to choose a
            backend or a timeout. The first process writes the files of the run. All of
            them run the rest of the script. (default: :obj:`"ddp"`)
        precision (str): The precision of the training. Weights are :obj:`float32`,
            except for :obj:`"64-true"`. (default: :obj:`"32-true"`)

            - :obj:`"32-true"` computes in :obj:`float32`, with torch's current
              precision of matrix products.
            - :obj:`"tf32"` rounds the factors of matrix products on a GPU to
              TensorFloat-32 (10 bits of mantissa) during training, by torch's matmul
              precision :obj:`"high"`. On most CPUs it has no effect.
            - :obj:`"bf16-mixed"` runs text towers in :obj:`bfloat16` (7 bits of
              mantissa). Losses and propagation stay in :obj:`float32`.
            - :obj:`"64-true"` computes in :obj:`float64`.
        capture (bool): Whether to run a step on a GPU as one CUDA graph, which is
            faster and gives the same losses, see
            :class:`~pyg_irllrec.training.CapturedStep`. A step that cannot be captured
            runs eagerly, after a warning with the cause. A run can be resumed with or
            without it. (default: :obj:`True`)
        callbacks (sequence of Callback, optional): Callbacks of Lightning to run in
            addition to those of the protocol. Their states are saved in
            :obj:`last.ckpt`, as tensors and plain values. :obj:`resume=True` restores
            them and needs callbacks of the same types. A callback that saves
            checkpoints needs a folder of its own. (default: :obj:`None`)
        logger (str or Logger, optional): :obj:`"csv"` or :obj:`"tensorboard"`, which
            write to a folder of that name under :obj:`out`, or a logger of Lightning.
            It logs the loss of each step, the mean loss terms (:obj:`train/`), the
            validation metrics (:obj:`val/`) and the test metrics (:obj:`test/`).
            (default: :obj:`None`)
        resume (bool): Whether to continue from :obj:`last.ckpt`.
            (default: :obj:`False`)
        progress (bool): Whether to show progress bars. (default: :obj:`True`)

    Raises:
        FileNotFoundError: If there is nothing to resume.
        ValueError: If an argument is out of range, if :obj:`out` holds a run and
            :obj:`resume` is :obj:`False`, if the checkpoint is damaged or has another
            model, other data or other settings, or if the graph of the model has all
            held-out interactions. If it has some of them, a warning gives their number.
        OSError: If another run is using :obj:`out`, a file cannot be written, or
            several processes cannot connect. Files that were written before are intact:
            continue with :obj:`resume=True`.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import InteractionDataModule, fit
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> model, module = build_model(data), InteractionDataModule(data)
        >>> result = fit(model, module, 'runs/first', epochs=2, progress=False)
        >>> sorted(result.test)
        ['ndcg@10', 'ndcg@5', 'recall@10', 'recall@5']
    """
    check_model(model)
    check_data(data)
    check_flag('capture', capture)
    check_flag('resume', resume)
    check_flag('progress', progress)
    check_count('epochs', epochs)
    check_count('check_every', check_every)
    check_count('patience', patience)
    # A checkpoint must not have numbers of NumPy: it is read back as plain types.
    epochs, check_every, patience = int(epochs), int(check_every), int(patience)
    check_fraction('average', average)
    check_choice('precision', precision, PRECISIONS)
    check_matmul_precision(precision)
    target = parse_device(device)
    check_devices(devices, strategy, target)
    check_logger(logger)
    items = data.train_items
    if (items.num_users, items.num_items) != (model.num_users, model.num_items):
        raise ValueError(
            f"'data' must have the users and items of 'model', {model.num_users} and "
            f'{model.num_items}, got {items.num_users} and {items.num_items}'
        )
    if isinstance(data, SampledDataModule):
        data.check_model(model, devices)
    check_graph(model, data)
    if ks is not None and data.val_items is None and data.test_items is None:
        ks = fitting_cutoffs(model.num_items, ks)  # Nothing is ranked.
    capture = capture and devices == 1  # Several devices exchange gradients.
    lit = LitRecommender(model, lr=lr, ks=ks, seed=seed, capture=capture)
    lit.settings |= {
        'check_every': check_every,
        'patience': patience,
        'precision': precision,
        'average': float(average),
    }
    out = check_folder(out)
    extra = read_callbacks(callbacks, out, progress)
    own = own_callbacks(out, lit.settings, data.val_items is not None)
    log = make_logger(logger, out)
    is_first = rank_of_process(devices) == 0
    with training_in(out) if is_first else nullcontext(), _ONE_AT_A_TIME:
        if resume:
            check_resumable(out, epochs, lit, own, extra, data.val_items is not None)
        else:
            check_unused(out)
            _warn_of_trained(model)
            _warn_of_companions(model, data)
        callbacks = with_progress_bar(
            [*extra, *own, HistoryFile(out)], progress and is_first
        )
        with quiet_lightning():
            trainer = Trainer(
                **_place(target, devices, strategy, precision),
                max_epochs=epochs,
                check_val_every_n_epoch=min(check_every, epochs),
                num_sanity_val_steps=0,
                callbacks=callbacks,
                plugins=[AtomicCheckpointIO()],
                logger=log or False,
                default_root_dir=out,  # A user's ModelCheckpoint writes there.
                enable_progress_bar=progress,
                enable_model_summary=False,
            )
            result = _train(trainer, lit, data, out, resume, progress and is_first)
        if is_first:
            write_result(result, out)
    return result


def _place(
    target: torch.device,
    devices: int,
    strategy: Union[str, DDPStrategy],
    precision: str,
) -> dict[str, Any]:
    r"""Return the arguments of a trainer for its devices and its precision."""
    on_gpu = target.type == 'cuda'
    place: dict[str, Any] = {
        'accelerator': 'gpu' if on_gpu else 'cpu',
        'precision': '32-true' if precision == 'tf32' else precision,
    }
    if devices == 1:
        return place | {'devices': [target.index or 0] if on_gpu else 1}
    return place | {'devices': devices, 'strategy': strategy}


def _train(
    trainer: Trainer,
    lit: LitRecommender,
    data: InteractionDataModule,
    out: Path,
    resume: bool,
    progress: bool,
) -> FitResult:
    r"""Train, calibrate and test in a folder that is checked and locked."""
    last, best = out / 'last.ckpt', out / 'best.ckpt'
    validates, tests = data.val_items is not None, data.test_items is not None
    target = trainer.strategy.root_device
    on_gpu = target.type == 'cuda'
    with torch.random.fork_rng([target] if on_gpu else []):
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(target)
        try:
            with matmul_precision(lit.settings['precision']):
                trainer.fit(lit, data, ckpt_path=last if resume else None)
        except BaseException as error:
            _end_others(trainer)
            if isinstance(error, SystemExit) and trainer.interrupted:
                # Lightning replaces a KeyboardInterrupt by it.
                raise KeyboardInterrupt from None
            if isinstance(error, _NETWORK_ERRORS):
                raise OSError(f'the processes could not connect: {error}') from error
            raise
        history = lit.history
        if not validates and trainer.is_global_zero:
            io = AtomicCheckpointIO()
            io.save_checkpoint(io.load_checkpoint(last), best)
        trainer.strategy.barrier()
        load_weights(lit.model, best)
        if lit.model.needs_calibration and data.val_items is not None:
            calibrated = lit.model.to(target)
            calibrated.calibrate(data.val_items, data.train_items, progress=progress)
            if trainer.is_global_zero:
                _save_calibrated(calibrated, best)
        if tests:
            # With ckpt_path, Lightning would restore the current weights instead of
            # their average.
            trainer.test(lit, data, verbose=False)

    lit.model.to(target)
    remember_nodes(lit.model, data.node_hashes)
    _TRAINED[lit.model] = _count_changes(lit.model)
    memory = peak_memory_mb(target)
    seconds = statistics.median(lit.step_seconds) if lit.step_seconds else None
    if seconds is None and resume:  # No step was left to train.
        seconds, memory = recorded_cost(out) or (seconds, memory)
    return FitResult(
        test={
            name.removeprefix('test/'): float(value)
            for name, value in trainer.callback_metrics.items()
            if name.startswith('test/')
        },
        best_epoch=best_epoch(history, f'recall@{lit.metrics.max_k}'),
        history=history,
        seconds_per_step=seconds,
        peak_memory_mb=memory,
        fingerprint=lit.fingerprint,
    )


def _end_others(trainer: Trainer) -> None:
    r"""End the processes that this one has started, which may wait for it."""
    launched = getattr(trainer.strategy.launcher, 'procs', [])
    others = list(launched)
    launched.clear()  # Otherwise, Lightning kills this process when they end.
    for process in others:
        process.kill()
        process.wait()


def _save_calibrated(model: Recommender, best: Path) -> None:
    r"""Add the weights of companions to the best checkpoint."""
    io = AtomicCheckpointIO()
    checkpoint = io.load_checkpoint(best)
    for name, value in model.state_dict().items():
        checkpoint['state_dict'][f'model.{name}'] = value.cpu()
    io.save_checkpoint(checkpoint, best)


def _count_changes(model: Recommender) -> int:
    r"""Return a number that increases when weights are drawn again, or loaded."""
    return sum(weight._version for weight in model.parameters())


def _warn_of_trained(model: Recommender) -> None:
    if _TRAINED.get(model) == _count_changes(model):
        warn_caller(
            "'model' has been trained by fit(), and training continues from its "
            'weights: for a new run, build a new model or draw new weights with '
            'model.reset_parameters()'
        )


def _warn_of_companions(model: Recommender, data: InteractionDataModule) -> None:
    if model.needs_calibration and data.val_items is None and not model.blends:
        warn_caller(
            "the companions of 'model' have no weights, and there are no validation "
            'interactions to choose them on: copy those of a model that was trained '
            'with validation, model.blend_weight.copy_(other.blend_weight) and '
            'model.companions.load_state_dict(other.companions.state_dict())'
        )
