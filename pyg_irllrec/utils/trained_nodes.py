r"""Hashes of the ids and texts of the nodes that a model was trained on. The model does
not store them, and with those of other data its explanations would be wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from torch import Tensor
from torch.nn import Module
from torch_geometric.data import HeteroData

_NAMES = ('id', 'text', 'profile_text', 'intent_text')
_AT_ONCE = 4096
_TRAINED: WeakKeyDictionary[Module, Mapping[str, str]] = WeakKeyDictionary()


def remember_nodes(model: Module, hashes: Mapping[str, str]) -> None:
    r"""Store the :func:`hash_nodes` of a model's training data for as long as the model
    exists."""
    _TRAINED[model] = hashes


def check_trained_nodes(
    model: Module, data: HeteroData, sides: tuple[str, str]
) -> None:
    r"""Raise a :class:`ValueError` if the ids or texts of nodes differ from those that
    the model was trained on, as far as these are known."""
    known = _TRAINED.get(model)
    if not known:
        return
    found = hash_nodes(data, sides)
    for name in found:
        if known.get(name, found[name]) != found[name]:
            role, kind = name.split('.')
            side = sides[role == 'item']
            raise ValueError(
                f"'data' must hold the {kind}s that 'model' was trained with, got "
                f"different values in data['{side}'].{kind}"
            )


def hash_nodes(data: HeteroData, sides: tuple[str, str]) -> dict[str, str]:
    r"""Hashes of all ids and texts of users and items by name, such as
    :obj:`"user.id"`, in linear time."""
    return {
        f'{role}.{name}': _hash_values(data[side][name])
        for role, side in zip(('user', 'item'), sides)
        for name in _NAMES
        if name in data[side]
    }


def _hash_values(values: Any) -> str:
    if isinstance(values, Tensor):
        values = values.numpy(force=True)
    elif isinstance(values, list) and all(type(value) is int for value in values):
        values = np.array(values)
    digest = hashlib.sha256()
    if isinstance(values, np.ndarray) and values.dtype.kind in 'iu':
        digest.update(np.ascontiguousarray(values, np.int64).data)
        return digest.hexdigest()[:32]
    left = iter(values)
    while some := [str(value) for value in islice(left, _AT_ONCE)]:
        digest.update(np.fromiter(map(len, some), np.int64, len(some)).data)
        digest.update(''.join(some).encode('utf-8', 'surrogatepass'))
    return digest.hexdigest()[:32]
