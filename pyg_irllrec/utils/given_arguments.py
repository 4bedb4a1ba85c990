from __future__ import annotations

from inspect import Parameter, signature


def given_arguments(instance: object) -> str:
    r"""The arguments that an object was built with, for its :meth:`__repr__`, except
    for those equal to their defaults. Each is read from the attribute of the same
    name."""
    shown = []
    for name, parameter in signature(type(instance)).parameters.items():
        value = getattr(instance, name)
        if parameter.default is Parameter.empty or value != parameter.default:
            shown.append(f'{name}={value!r}')
    return ', '.join(shown)
