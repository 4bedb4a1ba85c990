from __future__ import annotations

from inspect import Parameter, signature

from torch.nn import Module


def repr_arguments(module: Module) -> str:
    r"""Return the constructor arguments of :obj:`module` as text, for its
    :meth:`~torch.nn.Module.extra_repr`: all positional arguments, and the keyword-only
    arguments that differ from their defaults. Only plain values are shown, each read
    from the attribute of the same name."""
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
