r"""Short digests of graphs, vectors and modules, to detect later, also on another
machine, whether they have changed. Each takes one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from functools import cache, partial
from numbers import Integral, Real
from pathlib import PurePath
from types import CellType, CodeType, FunctionType, SimpleNamespace
from typing import Union

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import pad
from torch_geometric.nn import MessagePassing

from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.edge_store import plain
from pyg_irllrec.utils.user_items import UserItems

_WIDTH = 1024  # The length of the rows that sketch() cuts a tensor into.
_CHUNK = 4096  # The number of these rows that are read at once.
_ANGLES = (1.4142135623730951, 1.7320508075688772, 2.23606797749979, 2.6457513110645907)
_TOLERANCE = 1e-5  # Text encoders round differently per machine and thread count.
_MAX_DEPTH = 8
_OF_MODULES = vars(Module()).keys()
_PLAIN = (bool, str, Real, FunctionType, partial, Enum, torch.dtype, np.dtype)


def hash_interactions(items: UserItems) -> str:
    r"""A hash of a set of interactions, regardless of their order and of repeats."""
    return _hash([items.num_users, items.num_items], [items.degree, items.item])


def hash_graph(edge_index: Tensor, num_nodes: int) -> str:
    r"""A hash of sorted edges, as models store them."""
    rows = source_and_target(edge_index)
    wide = torch.int32 if num_nodes < 2**31 else torch.int64
    return _hash([num_nodes, edge_index.size(1)], [row.to(wide) for row in rows])


def describe_tensor(values: Tensor) -> Union[str, list[float]]:
    r"""A :func:`sketch` of finite floats, or a hash of any other tensor, because a
    sketch would miss some changes of it."""
    values = plain(values.detach())
    if values.layout != torch.strided:
        values = values.to_sparse_coo().coalesce()
        parts = [values.indices(), values.values()]
        return _hash(list(values.shape), [_as_bytes(part) for part in parts])
    if values.is_floating_point() and bool(values.isfinite().all()):
        return sketch(values)
    return _hash([str(values.dtype), *values.shape], [_as_bytes(values)])


def sketch(values: Tensor) -> list[float]:
    r"""The machine epsilon of a tensor's dtype, the norm of the tensor, and its inner
    products with four fixed tensors. They change if a value or its position changes,
    but hardly by rounding."""
    flat = values.detach().flatten()
    angle = torch.tensor(_ANGLES, dtype=torch.float64)
    column = torch.arange(1, _WIDTH + 1, dtype=torch.float64).outer(angle).cos()
    column = column.to(torch.promote_types(flat.dtype, torch.float32))
    total, square = torch.zeros_like(angle), 0.0
    for start, chunk in enumerate(flat.split(_WIDTH * _CHUNK)):
        part = pad(chunk, (0, -chunk.numel() % _WIDTH)).cpu().to(column.dtype)
        square += float(part.norm()) ** 2
        row = start * _CHUNK + torch.arange(1, part.numel() // _WIDTH + 1).double()
        weight = row.outer(angle.flip(0)).cos()
        total += (part.view(-1, _WIDTH) @ column * weight).sum(dim=0)
    return [torch.finfo(values.dtype).eps, square**0.5, *total.tolist()]


def same_sketch(one: object, other: object) -> bool:
    r"""Whether two sketches are of the same tensor up to rounding. If their dtypes
    differ, the rounding of the coarser dtype is allowed."""
    if not (isinstance(one, list) and isinstance(other, list)):
        return False
    if len(one) != len(other) or not all(
        isinstance(value, Real) for value in (*one, *other)
    ):
        return False
    eps = 0.0 if one[0] == other[0] else max(one[0], other[0])
    bound = max(_TOLERANCE, eps) * max(one[1], other[1])
    return all(abs(a - b) <= bound for a, b in zip(one[1:], other[1:]))


def describe_module(module: Module) -> dict[str, str]:
    r"""The classes and the plain settings of a module and its submodules by path, such
    as :obj:`"backbone.num_layers"`."""
    found: dict[str, str] = {}
    for path, part in module.named_modules():
        found[path or 'class'] = type(part).__name__
        for name, value in vars(part).items():
            if _is_setting(part, name, value):
                found[f'{path}.{name}' if path else name] = _show(value)
    frozen = [
        name for name, value in module.named_parameters() if not value.requires_grad
    ]
    return found | {'frozen': ', '.join(frozen)}


def _is_setting(part: Module, name: str, value: object) -> bool:
    r"""Whether an attribute is a setting: not an attribute of PyTorch, a device or a
    module, and not private state such as tensors, objects and empty caches."""
    if name in _OF_MODULES or isinstance(value, (torch.device, Module)):
        return False
    if not name.startswith('_'):
        return True
    if isinstance(part, MessagePassing) and name in _names_of_message_passing():
        return False
    return _is_plain(value)


class _BareMessagePassing(MessagePassing):
    pass


@cache
def _names_of_message_passing() -> frozenset[str]:
    # The first instance of a class adds methods to that class, so an instance of
    # MessagePassing itself would change all layers.
    return frozenset(vars(_BareMessagePassing()))


def _is_plain(value: object) -> bool:
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return len(value) > 0 and all(map(_is_plain, value))
    return isinstance(value, _PLAIN)


def _show(value: object, depth: int = 0) -> str:
    r"""A text for a plain value that is the same in every process, or the class name of
    any other value."""
    if value is None or isinstance(value, (bool, str, bytes, complex)):
        return repr(value)
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):  # Python and NumPy numbers give the same text.
        return repr(float(value))
    if isinstance(value, (torch.dtype, np.dtype, range, slice, PurePath)):
        return str(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biufc':
        value = torch.from_numpy(value.astype(value.dtype.newbyteorder('=')))
    if isinstance(value, Tensor):
        return str(describe_tensor(value))
    if isinstance(value, UserItems):
        return hash_interactions(value)
    if depth < _MAX_DEPTH:
        if isinstance(value, Mapping):
            pairs = (
                (_show(k, depth + 1), _show(v, depth + 1)) for k, v in value.items()
            )
            return f'[{", ".join(part for pair in pairs for part in pair)}]'
        if isinstance(value, (list, tuple)):
            return f'[{", ".join(_show(part, depth + 1) for part in value)}]'
        if isinstance(value, (set, frozenset)):
            return f'{{{", ".join(sorted(_show(part, depth + 1) for part in value))}}}'
        if isinstance(value, partial):
            parts = (value.func, value.args, value.keywords)
            return f'partial{_show(parts, depth + 1)}'
        if isinstance(value, FunctionType):
            return _show_function(value, depth + 1)
        if is_dataclass(value) or isinstance(value, SimpleNamespace):
            return f'{type(value).__name__}{_show(vars(value), depth + 1)}'
    name = value if isinstance(value, type) or callable(value) else type(value)
    return str(getattr(name, '__name__', type(value).__name__))


def _show_function(value: FunctionType, depth: int) -> str:
    r"""The name of a function with its closure and its defaults. Lambdas and nested
    functions, whose names are not unique, also get a hash of their code."""
    cells = [cell.cell_contents for cell in value.__closure__ or () if _is_set(cell)]
    held = [cells, value.__defaults__ or (), value.__kwdefaults__ or {}]
    text = value.__name__ + (f' {_show(held, depth)}' if any(held) else '')
    if '<' not in value.__qualname__:
        return text
    shown = _show_code(value.__code__, depth)
    code = hashlib.sha256(shown.encode('utf-8', 'surrogatepass')).hexdigest()
    return f'{text} {code[:8]}'


def _is_set(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _show_code(code: CodeType, depth: int) -> str:
    constants = [
        _show_code(part, depth) if isinstance(part, CodeType) else _show(part, depth)
        for part in code.co_consts
    ]
    return f'{code.co_code.hex()} {code.co_names} {constants}'


def _hash(sizes: Sequence[object], arrays: Sequence[Tensor]) -> str:
    digest = hashlib.sha256(repr(list(sizes)).encode())
    for array in arrays:
        digest.update(array.cpu().contiguous().numpy().data)
    return digest.hexdigest()[:32]


def _as_bytes(values: Tensor) -> Tensor:
    return values.cpu().contiguous().flatten().view(torch.uint8)
