r"""What a captured step has taken over from its model and its optimizer: a graph reads
tensors where they lay, and holds the values of numbers."""

from __future__ import annotations

from itertools import chain
from typing import Any, Optional

import torch
from torch import Tensor
from torch.nn import Module

from pyg_irllrec.nn import Recommender

Taken = dict[str, list[Any]]

_PLAIN = {bool, int, float, str}


def taken_over(model: Recommender, optimizer: torch.optim.Optimizer) -> Taken:
    r"""All that a graph of a step would not follow, by name."""
    device = model.device
    options: Taken = {}
    for group in optimizer.param_groups:
        for name, value in group.items():
            if name not in ('params', 'capturable'):
                options.setdefault(f"the optimizer's {name!r}", []).append(
                    _held(value, device)
                )
    weights = [each for group in optimizer.param_groups for each in group['params']]
    states = [optimizer.state.get(weight, {}).values() for weight in weights]
    modules = list(model.modules())  # Once: to walk them takes longest.
    return {
        **options,
        'the state of the optimizer': list(chain.from_iterable(states)),
        'the precision': [
            torch.is_autocast_enabled(device.type),
            torch.get_autocast_dtype(device.type),
            _matmul_precision(),
        ],
        'a buffer of the model': [
            each for module in modules for each in module._buffers.values()
        ],
        'a weight of the model': [
            each if each is None else (each.data_ptr(), each.requires_grad)
            for module in modules
            for each in module._parameters.values()
        ],
        'a setting of the model': [
            each for module in modules for each in _settings(module)
        ],
    }


def find_change(before: Taken, now: Taken) -> Optional[str]:
    r"""The name of something that is another value, or another tensor, if any is."""
    if before.keys() != now.keys():
        return 'the optimizer'
    for name, values in before.items():
        others = now[name]
        if len(values) != len(others) or not all(map(_are_same, values, others)):
            return name
    return None


def _held(value: Any, device: torch.device) -> Any:
    r"""A kernel is launched with the value of a tensor that lies elsewhere."""
    if isinstance(value, Tensor) and value.device != device:
        return value.tolist()
    return value


def _matmul_precision() -> object:
    matmul = torch.backends.cuda.matmul
    if hasattr(matmul, 'fp32_precision'):  # From torch 2.9 on; the old one may raise.
        return matmul.fp32_precision
    return torch.get_float32_matmul_precision()


def _settings(module: Module) -> list[Any]:
    r"""The numbers and names that a module holds, such as its mode, a rate and the
    weights of terms."""
    values = vars(module)
    found = [each for each in values.values() if type(each) in _PLAIN]
    for name, each in values.items():
        if type(each) is dict and not name.startswith('_'):
            found.append(dict(each))
    return found


def _are_same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return one is other
    return bool(one == other)
