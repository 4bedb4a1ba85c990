r"""Check the parts of a checkpoint other than weights. Lightning and torch do not:
moments of an optimizer with a wrong shape crash the process."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pyg_irllrec.utils.checks import is_number


def check_parts(checkpoint: Any, path: str) -> None:
    r"""Raise a :class:`ValueError` unless a file has the parts that
    :class:`~pyg_irllrec.training.LitRecommender` saves."""
    advice = ''
    if isinstance(checkpoint, dict):
        wrong = [name for name, is_good in _PARTS.items() if not is_good(checkpoint)]
        if not wrong:
            return
        advice = f' (wrong or missing: {", ".join(wrong)})'
        if all(isinstance(value, Tensor) for value in checkpoint.values()):
            advice = ' but a state_dict: model.load_state_dict(torch.load(path))'
    raise ValueError(f'{path} is not a checkpoint of a training run{advice}')


def _is_count(value: object, least: int = 0) -> bool:
    return type(value) is int and value >= least


def _is_finite(value: object) -> bool:
    return is_number(value) and math.isfinite(value)  # type: ignore[arg-type]


def _has_settings(checkpoint: dict[str, Any]) -> bool:
    found = checkpoint.get('settings')
    if not isinstance(found, dict):
        return False
    lr, ks = found.get('lr'), found.get('ks')
    return (
        isinstance(lr, float)
        and 0 < lr < math.inf
        and isinstance(ks, list)
        and len(ks) > 0
        and all(_is_count(k, 1) for k in ks)
        and _is_count(found.get('seed'))
    )


def _has_history(checkpoint: dict[str, Any]) -> bool:
    rows = checkpoint.get('history')
    return isinstance(rows, list) and all(
        isinstance(row, dict)
        and _is_count(row.get('epoch'), 1)
        and all(isinstance(name, str) and _is_finite(row[name]) for name in row)
        for row in rows
    )


def _has_version(checkpoint: dict[str, Any]) -> bool:
    version = checkpoint.get('pytorch-lightning_version')
    # Lightning migrates checkpoints from before 2.0, which had other parts.
    return isinstance(version, str) and bool(re.match(r'([2-9]|\d\d)\.\d+', version))


_PARTS = {
    'state_dict': lambda found: isinstance(found.get('state_dict'), dict),
    'history': _has_history,
    'settings': _has_settings,
    'epoch': lambda found: _is_count(found.get('epoch')),
    'global_step': lambda found: _is_count(found.get('global_step')),
    'pytorch-lightning_version': _has_version,
}


def check_progress(
    checkpoint: Mapping[str, Any], name: str, own: object, path: str
) -> None:
    r"""Raise a :class:`ValueError` unless a part of a checkpoint has the names and the
    types of :obj:`own`, the same part of this run."""
    if not _is_like(checkpoint.get(name), own):
        raise ValueError(
            f'{path} is damaged: its {name} must have the form that Lightning saves'
        )


def _is_like(found: object, own: object) -> bool:
    if isinstance(own, dict):
        return isinstance(found, dict) and all(
            name in found and _is_like(found[name], value)
            for name, value in own.items()
        )
    if isinstance(own, bool) or isinstance(own, str):
        return type(found) is type(own)
    if isinstance(own, int):
        return _is_count(found)
    if isinstance(own, Tensor):
        return isinstance(found, Tensor) and found.shape == own.shape
    return True


def check_optimizer(
    states: object, optimizer: torch.optim.Optimizer, path: str
) -> None:
    r"""Raise a :class:`ValueError` unless the optimizer states are those of one Adam
    over the same weights."""
    own = optimizer.state_dict()
    weights = [weight for group in optimizer.param_groups for weight in group['params']]
    found = states[0] if isinstance(states, list) and len(states) == 1 else None
    if not (
        isinstance(found, dict)
        and _same_groups(found.get('param_groups'), own['param_groups'])
        and isinstance(found.get('state'), dict)
        and all(
            _is_count(number)
            and number < len(weights)
            and _are_moments(moments, weights[number])
            for number, moments in found['state'].items()
        )
    ):
        raise ValueError(
            f'{path} is damaged: its optimizer_states must be those of one Adam over '
            'the weights of the model'
        )


def _same_groups(found: object, own: list[dict[str, Any]]) -> bool:
    if not isinstance(found, list) or len(found) != len(own):
        return False
    needed = ('params', 'lr', 'betas', 'eps', 'weight_decay')
    return all(
        isinstance(theirs, dict)
        and all(name in theirs for name in needed)
        # Other options differ between versions of torch.
        and all(
            _plain(theirs[name]) == _plain(mine[name]) for name in mine.keys() & theirs
        )
        for theirs, mine in zip(found, own)
    )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _are_moments(found: object, weight: Tensor) -> bool:
    if not isinstance(found, dict):
        return False
    shapes = {'step': torch.Size(), 'exp_avg': weight.shape, 'exp_avg_sq': weight.shape}
    for name, shape in shapes.items():
        value = found.get(name)
        if not (
            isinstance(value, Tensor)
            and value.layout == torch.strided
            and value.shape == shape
            and value.is_floating_point()
            and bool(value.isfinite().all())
            and (name == 'exp_avg' or bool((value >= 0).all()))
        ):
            return False
    return True
