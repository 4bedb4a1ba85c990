from __future__ import annotations

from torch.nn import Module
from torch.nn.modules.module import _has_any_global_hook

_METHODS: dict[type, frozenset[str]] = {}


def is_plain(module: object, cls: type[Module], *others: object) -> bool:
    r"""Whether calling :obj:`module`, or any of :obj:`others`, runs the code of
    :obj:`cls` and nothing else, so that a caller may run this code directly. Each must
    be an instance of exactly this class, without hooks and without instance attributes
    that hide a method."""
    methods = _METHODS.get(cls)
    if methods is None:
        methods = _METHODS[cls] = _methods(cls)
    for value in (module, *others):
        if type(value) is not cls or not methods.isdisjoint(value.__dict__):
            return False
        if (
            value._forward_pre_hooks
            or value._forward_hooks
            or value._backward_pre_hooks
            or value._backward_hooks
        ):
            return False
    return not _has_any_global_hook()


def _methods(cls: type[Module]) -> frozenset[str]:
    # Module.compile() sets this attribute, which replaces every other call.
    names = ['_compiled_call_impl']
    for name in dir(cls):
        if not name.startswith('__') and callable(getattr(cls, name)):
            names.append(name)
    return frozenset(names)
