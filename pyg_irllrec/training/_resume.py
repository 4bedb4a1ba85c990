r"""What a folder must hold for its run to be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback

from pyg_irllrec.training._result_files import best_epoch
from pyg_irllrec.training.atomic_checkpoint_io import AtomicCheckpointIO
from pyg_irllrec.training.fingerprint import same_run
from pyg_irllrec.training.lit_recommender import LitRecommender

_RESUMED = ('loops', 'callbacks', 'optimizer_states', 'lr_schedulers')
"""What Lightning reads of a checkpoint beside its weights."""

_AVERAGED = ('current_model_state', 'averaging_state')
"""What it reads besides where weights are averaged."""

_RESTORE = 'restore it, or begin a new run in another folder'


def check_resumable(
    out: Path,
    epochs: int,
    lit: LitRecommender,
    own: list[Callback],
    extra: list[Callback],
    validates: bool,
) -> None:
    r"""Raise an error unless the run in a folder can go on as it was begun, with the
    same callbacks of :func:`~pyg_irllrec.training.fit` and of the user."""
    last = out / 'last.ckpt'
    if not last.is_file():
        raise FileNotFoundError(f'{out} holds no last.ckpt to resume from')
    checkpoint = _read_to_resume(last)
    lit.check_settings(checkpoint['settings'])
    needed = _RESUMED + (_AVERAGED if lit.settings['average'] > 0 else ())
    missing = [name for name in needed if name not in checkpoint]
    callbacks = checkpoint.get('callbacks', {})
    for callback in own:
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
    _check_same_callbacks(out, callbacks, own, extra)
    if validates:
        _check_best(out / 'best.ckpt', checkpoint, f'recall@{lit.metrics.max_k}')
    done = checkpoint['epoch'] + 1
    if epochs < done:
        raise ValueError(
            f"'epochs' must be at least the {done} that are done, got {epochs}"
        )


def _check_same_callbacks(
    out: Path,
    states: dict[str, Any],
    own: list[Callback],
    extra: list[Callback],
) -> None:
    r"""Raise a :class:`ValueError` unless the user's callbacks have the states that
    the checkpoint holds: without it, one would begin anew without a word."""
    given = {each.state_key for each in extra}
    before = sorted(set(states) - {each.state_key for each in own})
    missing = [key for key in before if key not in given]
    added = [
        each for each in extra if each.state_dict() and each.state_key not in states
    ]
    if missing or added:
        got = ', '.join(sorted(given)) or 'none'
        raise ValueError(
            f"the run in {out} was begun with the 'callbacks' "
            f'{", ".join(before) or "none"} that have a state: resume it with the '
            f'same, got {got}'
        )


def _read_to_resume(path: Path) -> dict[str, Any]:
    try:
        return AtomicCheckpointIO().load_checkpoint(path)
    except ValueError as error:
        raise ValueError(f'{error}. To resume, {_RESTORE}') from None


def _check_best(best: Path, last: dict[str, Any], metric: str) -> None:
    r"""Raise a :class:`ValueError` unless the best checkpoint is of the same run as
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
        expected = best_epoch(last['history'], metric)
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
