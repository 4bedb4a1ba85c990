from __future__ import annotations

from torch.nn import Module
from torch.nn.modules.module import _has_any_global_hook

_NAMES: dict[type, frozenset[str]] = {}  # Of a class; dir() is slow.


def is_plain(module: object, cls: type[Module]) -> bool:
    r"""Whether a call of :obj:`module` runs the code of :obj:`cls` and nothing else, so
    that a caller may run the same code without the call: it is exactly of this class,
    no attribute of its own hides one of the class, and there are no hooks."""
    if type(module) is not cls:
        return False
    assert isinstance(module, Module)
    names = _NAMES.get(cls)
    if names is None:
        names = _NAMES[cls] = frozenset(dir(cls))
    return names.isdisjoint(module.__dict__) and not (
        module._forward_pre_hooks
        or module._forward_hooks
        or module._backward_pre_hooks
        or module._backward_hooks
        or _has_any_global_hook()
    )
