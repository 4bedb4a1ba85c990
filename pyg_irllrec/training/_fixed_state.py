r"""The state of a model and its optimizer that is fixed in a captured step. A CUDA
graph reads tensors at their addresses and has the values of numbers."""

from __future__ import annotations

from itertools import chain
from typing import Any, Optional

import torch
from torch import Tensor
from torch.nn import Module

from pyg_irllrec.nn import Recommender

FixedState = dict[str, list[Any]]

_PLAIN = {bool, int, float, str}


def fixed_state(model: Recommender, optimizer: torch.optim.Optimizer) -> FixedState:
    r"""Return everything whose change a captured step would not notice, by name."""
    device = model.device
    options: FixedState = {}
    for group in optimizer.param_groups:
        for name, value in group.items():
            if name not in ('params', 'capturable'):
                options.setdefault(f"the optimizer's {name!r}", []).append(
                    _as_read(value, device)
                )
    weights = [each for group in optimizer.param_groups for each in group['params']]
    states = [optimizer.state.get(weight, {}).values() for weight in weights]
    modules = list(model.modules())  # Only once, since this takes most of the time.
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


def find_change(before: FixedState, now: FixedState) -> Optional[str]:
    r"""Return the name of a part whose values or tensors have changed, if any."""
    if before.keys() != now.keys():
        return 'the optimizer'
    for name, values in before.items():
        others = now[name]
        if len(values) != len(others) or not all(map(_are_same, values, others)):
            return name
    return None


def _as_read(value: Any, device: torch.device) -> Any:
    r"""Return the value of a tensor on another device, with which a kernel is
    launched."""
    if isinstance(value, Tensor) and value.device != device:
        return value.tolist()
    return value


def _matmul_precision() -> object:
    matmul = torch.backends.cuda.matmul
    if hasattr(matmul, 'fp32_precision'):  # From torch 2.9 on, the old one may raise.
        return matmul.fp32_precision
    return torch.get_float32_matmul_precision()


def _settings(module: Module) -> list[Any]:
    r"""Return the numbers and strings of a module, such as its mode, a dropout rate and
    the weights of loss terms."""
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
