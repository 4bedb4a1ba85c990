r"""Check that the run in a folder can be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback

from pyg_irllrec.training._result_files import best_epoch
from pyg_irllrec.training.atomic_checkpoint_io import AtomicCheckpointIO
from pyg_irllrec.training.fingerprint import same_run
from pyg_irllrec.training.lit_recommender import LitRecommender

_RESUMED = ('loops', 'callbacks', 'optimizer_states', 'lr_schedulers')
"""The parts of a checkpoint, beside weights, that Lightning reads."""

_AVERAGED = ('current_model_state', 'averaging_state')
"""The parts that it reads in addition if weights are averaged."""

_RESTORE = 'restore it, or begin a new run in another folder'


def check_resumable(
    out: Path,
    epochs: int,
    lit: LitRecommender,
    own: list[Callback],
    extra: list[Callback],
    validates: bool,
) -> None:
    r"""Raise an error unless the run in a folder can be resumed with the same settings
    and the same callbacks of :func:`~pyg_irllrec.training.fit` and of the user."""
    last = out / 'last.ckpt'
    if not last.is_file():
        raise FileNotFoundError(f'{out} holds no last.ckpt to resume from')
    checkpoint = _read_to_resume(last)
    lit.check_settings(checkpoint['settings'])
    needed = _RESUMED + (_AVERAGED if lit.settings['average'] > 0 else ())
    missing = [name for name in needed if name not in checkpoint]
    callbacks = checkpoint.get('callbacks', {})
    for callback in own:
        # Without its state, it would silently start from scratch.
        if not missing and not (
            isinstance(callbacks, dict) and callback.state_key in callbacks
        ):
            missing.append(f'{type(callback).__name__.lstrip("_")} callback')
    if missing:
        raise ValueError(
            f'{last} must be the last checkpoint of a run, got one without its '
            f'{", ".join(missing)}: {_RESTORE}'
        )
    _check_same_callbacks(out, callbacks, own, extra)
    if validates:
        _check_best(out / 'best.ckpt', checkpoint, f'recall@{lit.metrics.max_k}')
    done = checkpoint['epoch'] + 1
    if epochs < done:
        raise ValueError(
            f"'epochs' must be at least {done}, the number of epochs that are done, "
            f'got {epochs}'
        )


def _check_same_callbacks(
    out: Path,
    states: dict[str, Any],
    own: list[Callback],
    extra: list[Callback],
) -> None:
    r"""Raise a :class:`ValueError` unless the user's callbacks are those with a state
    in the checkpoint. Without it, one would silently start from scratch."""
    given = {each.state_key for each in extra}
    before = sorted(set(states) - {each.state_key for each in own})
    missing = [key for key in before if key not in given]
    added = [
        each for each in extra if each.state_dict() and each.state_key not in states
    ]
    if missing or added:
        got = ', '.join(sorted(given)) or 'none'
        raise ValueError(
            f"'callbacks' with a state must be those that the run in {out} was begun "
            f'with, {", ".join(before) or "none"}, got {got}'
        )


def _read_to_resume(path: Path) -> dict[str, Any]:
    try:
        return AtomicCheckpointIO().load_checkpoint(path)
    except ValueError as error:
        raise ValueError(f'{error}. To resume, {_RESTORE}') from None


def _check_best(best: Path, last: dict[str, Any], metric: str) -> None:
    r"""Raise a :class:`ValueError` unless the best checkpoint, which will be tested, is
    from the same run as the last one."""
    if not any(metric in row for row in last['history']):
        return  # The run has not been validated yet.
    if not best.is_file():
        raise ValueError(
            f'{best.parent} must hold the best.ckpt of its run to be resumed, got '
            f'none: {_RESTORE}'
        )
    found = _read_to_resume(best)
    shorter = min(len(found['history']), len(last['history']))
    # A best checkpoint that was written right before the run was killed is from an
    # epoch that will be repeated.
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
            f'{best} must be the best checkpoint of the run in {best.parent}, from '
            f'epoch {expected}, got one from another run or epoch: {_RESTORE}'
        )
