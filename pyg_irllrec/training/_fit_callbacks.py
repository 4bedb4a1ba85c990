r"""The callbacks of :func:`~pyg_irllrec.training.fit` and those of its user."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    ProgressBar,
    StochasticWeightAveraging,
)
from lightning.pytorch.utilities.model_helpers import is_overridden

from pyg_irllrec.training.progress_bar import EpochProgressBar
from pyg_irllrec.utils.argument_checks import is_iterable


def read_callbacks(
    callbacks: Optional[Sequence[Callback]], out: Path, progress: bool
) -> list[Callback]:
    r"""Return the user's callbacks, or raise a :class:`ValueError` if one of them does
    not work with :func:`~pyg_irllrec.training.fit`."""
    if callbacks is None:
        return []
    if not is_iterable(callbacks):
        raise ValueError(
            "'callbacks' must be a list of Callbacks of lightning.pytorch, got "
            f'{type(callbacks).__name__}'
        )
    given = list(callbacks)
    for callback in given:
        _check_callback(callback, out, progress)
    if sum(isinstance(callback, ProgressBar) for callback in given) > 1:
        raise ValueError("'callbacks' must hold at most one progress bar, got several")
    keys = [callback.state_key for callback in given if has_state(callback)]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ValueError(
            "'callbacks' must hold callbacks with state under different state_keys, "
            f'got two under {twice[0]!r}'
        )
    return given


def _check_callback(callback: object, out: Path, progress: bool) -> None:
    if not isinstance(callback, Callback):
        raise ValueError(
            "'callbacks' must hold Callbacks of lightning.pytorch, got "
            f'{type(callback).__name__}'
        )
    name = type(callback).__name__
    if isinstance(callback, StochasticWeightAveraging) or _averages(callback):
        raise ValueError(
            f"'callbacks' must not average weights, got {name}: fit() restores the "
            'weights of best.ckpt at the end. Pass average=0.99 to validate and save '
            'averaged weights'
        )
    if isinstance(callback, ProgressBar) and not progress:
        raise ValueError(
            f"'callbacks' must hold no progress bar with progress=False, got {name}"
        )
    folder = getattr(callback, 'dirpath', None)
    if isinstance(callback, ModelCheckpoint) and folder is not None:
        if Path(os.path.realpath(folder)) == out:
            raise ValueError(
                "'callbacks' must not write checkpoints to 'out' itself, which has "
                f'those of fit(), got {name} with dirpath={str(folder)!r}: pass '
                'another folder'
            )


def _averages(callback: Callback) -> bool:
    # By name, because Lightning before 2.6 has no such class.
    return any(each.__name__ == 'WeightAveraging' for each in type(callback).__mro__)


def has_state(callback: Callback) -> bool:
    r"""Whether a checkpoint holds a state of this callback."""
    return bool(is_overridden('state_dict', instance=callback, parent=Callback))


def own_callbacks(
    out: Path, settings: dict[str, Any], validates: bool
) -> list[Callback]:
    r"""Return the callbacks that write the checkpoints of a run, stop it early and
    average weights."""
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


def with_progress_bar(callbacks: list[Callback], progress: bool) -> list[Callback]:
    r"""Return the callbacks with a progress bar, unless the user passed one."""
    has_bar = any(isinstance(callback, ProgressBar) for callback in callbacks)
    return [*callbacks, EpochProgressBar()] if progress and not has_bar else callbacks


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


class _ModelCheckpoint(ModelCheckpoint):
    r"""A checkpoint callback that finds its best checkpoint after the folder of the run
    was moved."""

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
    r"""Early stopping that also stops a resumed run that had already stopped."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True
