r"""The space of :func:`~pyg_irllrec.training.tune`: its checks and conversions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from inspect import Parameter, signature
from numbers import Integral
from typing import TYPE_CHECKING, Any, Union

from pyg_irllrec.nn import IntentAlignmentLoss, IRLLRec, RLMRecGen, SoftmaxLoss
from pyg_irllrec.presets import BACKBONES, BASELINES, PARTS, Preset
from pyg_irllrec.transforms import ReduceText
from pyg_irllrec.utils.checks import is_number

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_RECEIVERS: dict[str, tuple[Any, ...]] = {
    'backbone': tuple(BACKBONES.values()),
    'loss': (IntentAlignmentLoss,),
    'model': (IRLLRec, RLMRecGen),
    'ranking': (SoftmaxLoss,),
    'features': (ReduceText,),
}
_TUNED = {
    'data': ('batch_size', 'batch_by'),
    'fit': ('lr', 'check_every', 'patience', 'average', 'precision'),
}
_OPTIONAL = ('ranking', 'features')
"""The parts that a model has only if they are in its preset."""


def check_space(space: object, preset: Preset) -> dict[str, Any]:
    r"""Return the space in plain types, or raise a :class:`ValueError` if a name is not
    an argument of a part of the preset, or its values are invalid."""
    if not isinstance(space, Mapping) or not space:
        raise ValueError(
            "'space' must be a dictionary such as {'fit.lr': (1e-4, 1e-2, 'log')}, got "
            f'{space!r:.200}'
        )
    for name in space:
        _check_name(name, preset)
    return {name: _read_choices(name, choices) for name, choices in space.items()}


def describe_space(space: Mapping[str, Any]) -> dict[str, Any]:
    r"""Return the space in JSON types, which have no tuples: a range is marked, to
    differ from a list of choices."""
    return {
        name: list(choices) if isinstance(choices, list) else {'range': list(choices)}
        for name, choices in space.items()
    }


def _check_name(name: object, preset: Preset) -> None:
    part, _, argument = str(name).partition('.')
    if not isinstance(name, str) or part not in PARTS or not argument:
        raise ValueError(
            f"'space' must have names such as 'PART.ARGUMENT', with a part from "
            f'{", ".join(map(repr, PARTS))}, got {name!r}'
        )
    if part in _OPTIONAL and not preset.get(part):
        raise ValueError(
            f"'space' must name parts that are in 'preset', got {name!r}, but "
            f"preset['{part}'] is empty"
        )
    allowed = _arguments(part, preset)
    if argument not in allowed:
        raise ValueError(
            f"'space' must name arguments of {part!r} "
            f'({", ".join(allowed) or "none"}), got {name!r}'
        )


def _arguments(part: str, preset: Preset) -> list[str]:
    if part in _TUNED:
        return list(_TUNED[part])
    if part == 'companions':
        return [
            f'{name}.{argument}'
            for name in preset.get('companions', {})
            if name in BASELINES
            for argument in signature(BASELINES[name]).parameters
        ]
    names = [name for cls in _RECEIVERS[part] for name in signature(cls).parameters]
    return list(dict.fromkeys(names))


def _read_choices(name: str, choices: object) -> Any:
    r"""Return the choices in plain types."""
    if isinstance(choices, list):
        plain = all(_is_plain(each) for each in choices)
        if choices and plain and len(set(choices)) == len(choices):
            return choices
    elif isinstance(choices, tuple) and len(choices) in (2, 3):
        low, high, *scale = choices
        if _is_finite(low) and _is_finite(high) and low < high:
            if scale == [] or (scale == ['log'] and low > 0):
                return (_as_plain(low), _as_plain(high), *scale)
    raise ValueError(
        f"'space[{name!r}]' must be (low, high), (low, high, 'log') with low above 0, "
        'or a list of different values that are numbers, strings, bools or None, got '
        f'{choices!r:.200}'
    )


def _is_finite(value: object) -> bool:
    return is_number(value) and -(2**63) < value < 2**63  # type: ignore[operator]


def _is_plain(value: object) -> bool:
    return (
        value is None
        or type(value) in (bool, str)
        or (type(value) in (int, float) and _is_finite(value))
    )


def _as_plain(value: Any) -> Union[int, float]:
    return int(value) if isinstance(value, Integral) else float(value)


def to_distributions(space: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    r"""Return the space as distributions of optuna. A range of two integers has integer
    values."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    found: dict[str, BaseDistribution] = {}
    for name, choices in space.items():
        if isinstance(choices, list):
            found[name] = CategoricalDistribution(choices)
            continue
        low, high, log = choices[0], choices[1], len(choices) == 3
        if isinstance(low, int) and isinstance(high, int):
            found[name] = IntDistribution(low, high, log=log)
        else:
            found[name] = FloatDistribution(float(low), float(high), log=log)
    return found


def with_params(preset: Preset, params: Mapping[str, Any]) -> Preset:
    r"""Return a copy of a preset with other values."""
    preset = copy.deepcopy(preset)
    for name, value in params.items():
        *path, argument = name.split('.')
        receiver: dict[str, Any] = preset
        for step in path:
            receiver = receiver.setdefault(step, {})
        receiver[argument] = value
    return preset


def params_of(preset: Preset, space: Mapping[str, Any]) -> dict[str, Any]:
    r"""Return the values of a preset, or else the defaults of its classes, for the
    arguments of a space. Values that are not in the space are left out."""
    found = {}
    for name, distribution in to_distributions(space).items():
        value, choices = _find_value(preset, name), space[name]
        known = value in choices if isinstance(choices, list) else is_number(value)
        if known and distribution._contains(distribution.to_internal_repr(value)):
            found[name] = value
    return found


def _find_value(preset: Preset, name: str) -> Any:
    *path, argument = name.split('.')
    receiver: Any = preset
    for step in path:
        receiver = receiver.get(step, {}) if isinstance(receiver, dict) else {}
    if isinstance(receiver, dict) and argument in receiver:
        return receiver[argument]
    classes = _RECEIVERS.get(path[0], ())
    if len(classes) != 1:
        return None
    default = signature(classes[0]).parameters[argument].default
    return None if default is Parameter.empty else default
