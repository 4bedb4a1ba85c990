r"""Short values by which it is seen, later and elsewhere, whether a graph, vectors or a
module are what they were. Each takes one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from numbers import Integral, Real
from types import BuiltinFunctionType, FunctionType
from typing import Optional

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import pad

from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.user_items import UserItems

_WIDTH = 1024  # Of the rows that sketch() cuts a tensor into.
_CHUNK = 4096  # How many of them are read at once.
_ANGLES = (1.4142135623730951, 1.7320508075688772, 2.23606797749979, 2.6457513110645907)
_TOLERANCE = 1e-5  # Encoders differ by rounding between machines and threads.


def hash_interactions(items: UserItems) -> str:
    r"""A hash of a set of interactions: their order and repeats do not count."""
    return _hash([items.num_users, items.num_items], [items.degree, items.item])


def hash_graph(edge_index: Tensor, num_nodes: int) -> str:
    r"""A hash of edges that are sorted, as a model keeps them."""
    rows = source_and_target(edge_index)
    wide = torch.int32 if num_nodes < 2**31 else torch.int64
    return _hash([num_nodes, edge_index.size(1)], [row.to(wide) for row in rows])


def sketch(values: Tensor) -> list[float]:
    r"""The norm of a tensor and its products with four fixed ones: numbers that change
    where a value does, or the place of a value, but hardly by rounding."""
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
    return [square**0.5, *total.tolist()]


def same_sketch(one: object, other: object) -> bool:
    r"""Whether two sketches are of the same numbers, up to rounding."""
    if not (isinstance(one, list) and isinstance(other, list)):
        return False
    if len(one) != len(other) or not all(
        isinstance(value, Real) for value in (*one, *other)
    ):
        return False
    bound = _TOLERANCE * max(one[0], other[0])
    return all(abs(a - b) <= bound for a, b in zip(one, other))


def describe_module(module: Module) -> dict[str, str]:
    r"""The class and the plain settings of a module and of all its parts, by their
    path, such as :obj:`"backbone.num_layers"`."""
    found: dict[str, str] = {}
    for path, part in module.named_modules():
        found[path or 'class'] = type(part).__name__
        for name, value in vars(part).items():
            text = None if name.startswith('_') or name == 'training' else _show(value)
            if text is not None:
                found[f'{path}.{name}' if path else name] = text
    frozen = [
        name for name, value in module.named_parameters() if not value.requires_grad
    ]
    return found | {'frozen': ', '.join(frozen)}


def _show(value: object) -> Optional[str]:
    r"""A plain value as text; :obj:`None` for any other."""
    if value is None or isinstance(value, (bool, str)):
        return repr(value)
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):  # Those of NumPy are shown as those of Python.
        return repr(float(value))
    if isinstance(value, (FunctionType, BuiltinFunctionType, type)):
        return value.__name__
    if isinstance(value, dict):
        value = [part for item in value.items() for part in item]
    if isinstance(value, (list, tuple)):
        parts = [_show(part) for part in value]
        return None if None in parts else f'[{", ".join(map(str, parts))}]'
    return None


def _hash(sizes: Sequence[int], arrays: Sequence[Tensor]) -> str:
    digest = hashlib.sha256(repr(list(sizes)).encode())
    for array in arrays:
        digest.update(array.cpu().contiguous().numpy().data)
    return digest.hexdigest()[:32]
