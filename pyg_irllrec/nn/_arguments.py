from __future__ import annotations

from inspect import Parameter, signature
from numbers import Real

from torch.nn import Module

from pyg_irllrec.functional.info_nce import LEAST_TEMPERATURE
from pyg_irllrec.utils.checks import check_not_below


def repr_arguments(module: Module) -> str:
    r"""The arguments that :obj:`module` was built with, for its
    :meth:`~torch.nn.Module.extra_repr`: the plain values that its constructors take by
    position, and those by name that differ from the default. Each is read from the
    attribute of the same name."""
    parameters: dict[str, Parameter] = {}
    for cls in type(module).__mro__:
        if '__init__' in vars(cls):
            for name, parameter in signature(cls).parameters.items():
                parameters.setdefault(name, parameter)
    shown = []
    for name, parameter in parameters.items():
        value = getattr(module, name, None)
        is_default = parameter.kind is Parameter.KEYWORD_ONLY and (
            value == parameter.default
        )
        if isinstance(value, (bool, int, float, str)) and not is_default:
            shown.append(f'{name}={value!r}')
    return ', '.join(shown)


def check_temperature(name: str, value: object) -> None:
    r"""Raises a :class:`ValueError` unless :func:`~pyg_irllrec.functional.info_nce`
    takes this temperature."""
    if not isinstance(value, Real):
        raise ValueError(f"'{name}' must be a number, got a {type(value).__name__}")
    check_not_below(f"'{name}'", float(value), LEAST_TEMPERATURE)
