r"""A recommender as JSON and tensors, and its reconstruction. Classes come from a fixed
list; no name from a file is ever imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from numbers import Integral, Real
from typing import Any, Optional

import torch
from torch import Tensor
from torch.nn import Module

from pyg_irllrec.nn import (
    EASE,
    AlphaRec,
    BPRLoss,
    DirectAULoss,
    IntentAlignmentLoss,
    IntentNodeBackbone,
    IRLLRec,
    ItemKNN,
    Popularity,
    Recommender,
    RLMRecGen,
    SoftmaxLoss,
)
from pyg_irllrec.nn.baselines._closed_form import ClosedForm
from pyg_irllrec.presets import BACKBONES
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.adjacency import plain_edge_index
from pyg_irllrec.utils.digest import describe_module

Config = dict[str, Any]

_CLASSES: dict[str, type[Module]] = {
    cls.__name__: cls
    for cls in (
        *(Recommender, IRLLRec, RLMRecGen),
        *(*BACKBONES.values(), IntentNodeBackbone),
        *(BPRLoss, DirectAULoss, SoftmaxLoss, IntentAlignmentLoss),
        *(EASE, ItemKNN, Popularity),
    )
}
_TENSORS = {
    *('edge_index', 'edge_weight', 'profile', 'intent', 'features'),
    *('item_text', 'interactions', 'popularity', 'sample_weight'),
    *('user_edges', 'item_edges', 'user_weight', 'item_weight'),
}
"""The arguments that are tensors, and therefore not in the JSON."""
_READ_AS: dict[type[Module], dict[str, str]] = {
    IntentAlignmentLoss: {
        **{
            f'{name}_weight': f'weights.{name}'
            for name in IntentAlignmentLoss().weights
        },
        'profile_temperature': 'user_profile.temperature',
        'intent_temperature': 'user_intent.temperature',
        'user_negatives': 'user_profile.negatives',
        'item_negatives': 'item_profile.negatives',
        'duplicates': 'user_profile.duplicates',
        'noise': 'translation.noise',
        'eps': 'translation.eps',
        'impl': 'user_profile.impl',
        'translation_impl': 'translation.impl',
    },
    IRLLRec: {'momentum': 'intent_projector.momentum'},
    AlphaRec: {'hidden_channels': 'projector.hidden_channels'},
}
"""Arguments that are attributes of a part: the path, by class and argument."""
_KNOWN = 'known'
_MAX_LAYERS = 1000


class OwnPartError(ValueError):
    r"""A model has a part that only the user's code can build."""


def model_config(model: Recommender, tensors: Mapping[str, Tensor]) -> Config:
    r"""The configuration from which :func:`build_model` builds a model, together with
    its :func:`model_tensors`.

    Raises:
        OwnPartError: If a part is not from this package, or was changed after it was
            built.
    """
    config = _describe(model, 'model') | {
        'frozen': [
            name
            for name, weight in model.named_parameters()
            if not weight.requires_grad
        ]
    }
    try:
        found = describe_module(build_model(config, tensors))
    except (ValueError, RuntimeError) as error:
        raise OwnPartError(f'it cannot be rebuilt: {error}') from None
    wanted = describe_module(model)
    differ = [
        name for name in {**wanted, **found} if wanted.get(name) != found.get(name)
    ]
    if differ:
        raise OwnPartError(f'it differs from a rebuilt one in {", ".join(differ[:3])}')
    return config


def model_tensors(model: Recommender) -> dict[str, Tensor]:
    r"""The weights and buffers of a model by name, on the CPU, including buffers that
    are not in its state dictionary, and the solutions of companions with a weight.

    Raises:
        ValueError: If its state contains something other than tensors.
    """
    found: dict[str, Tensor] = {}
    for name, value in (*model.state_dict().items(), *model.named_buffers()):
        if not isinstance(value, Tensor):
            raise ValueError(
                f"'model' must have only tensors in its state, got "
                f'{type(value).__name__} for {name}'
            )
        plain = plain_edge_index(value) if name == 'edge_index' else value
        found[name] = plain.detach().cpu().contiguous()
    known = getattr(model.ranking, _KNOWN, None)
    if isinstance(known, UserItems):
        found[f'ranking.{_KNOWN}'] = known.pairs.cpu()
    return found | model_solutions(model)


def model_solutions(model: Recommender) -> dict[str, Tensor]:
    r"""The solutions of companions with a weight, on the CPU, for
    :func:`take_solutions`."""
    return {
        _solution(place, number): part.cpu().contiguous()
        for place, companion in _scoring(model)
        for number, part in enumerate(companion.get_solution())
    }


@dataclass(frozen=True)
class _Tensors:
    r"""The tensors of a part of a model."""

    values: Mapping[str, Tensor]
    path: str

    def __getitem__(self, name: str) -> Tensor:
        return self.values[self.path + name]

    def get(self, name: str) -> Optional[Tensor]:
        return self.values.get(self.path + name)

    def part(self, name: str) -> _Tensors:
        return _Tensors(self.values, f'{self.path}{name}.')


def build_model(config: Config, tensors: Mapping[str, Tensor]) -> Recommender:
    r"""Build a model from its :func:`model_config` and tensors, in evaluation mode.
    The state of torch's random generators does not change.

    Raises:
        ValueError: If the configuration and the tensors do not match.
    """
    with torch.random.fork_rng(devices=[]):
        model = _build(config, _Tensors(tensors, ''), Recommender)
    assert isinstance(model, Recommender)
    if 'cluster' in tensors and isinstance(model, IRLLRec):
        model.prototype_weight = config['arguments']['prototype_weight']
        model.cluster = tensors['cluster']
    fill_model(model, tensors)
    frozen = set(config['frozen'])
    for name, weight in model.named_parameters():
        weight.requires_grad_(name not in frozen)
    return model.eval()


def fill_model(model: Recommender, tensors: Mapping[str, Tensor]) -> None:
    r"""Load tensors into a model that was built in the same way, on the CPU.

    Raises:
        ValueError: If its tensors have other names or shapes, or its graph differs.
    """
    state = model.state_dict()
    buffers = {
        name: value for name, value in model.named_buffers() if name not in state
    }
    own = {**state, **buffers}
    given = {
        name: value
        for name, value in tensors.items()
        if not name.startswith('solution.') and name != f'ranking.{_KNOWN}'
    }
    differ = [
        f'{name} ({_shape(given.get(name))}, not {_shape(own.get(name))})'
        for name in sorted(own.keys() | given.keys())
        if _shape(own.get(name)) != _shape(given.get(name))
    ]
    if differ:
        raise ValueError(
            f"'model' must be built like the saved one, but they differ in "
            f'{", ".join(differ[:3])}'
        )
    if not torch.equal(plain_edge_index(model.edge_index).cpu(), given['edge_index']):
        raise ValueError(
            "'model' must be built on the graph of the saved one, got another graph"
        )
    model.load_state_dict({name: given[name] for name in state}, assign=True)
    for name in buffers:
        if name != 'edge_index':  # It is equal already, and sorted.
            path, _, last = name.rpartition('.')
            setattr(model.get_submodule(path), last, given[name])


def take_solutions(model: Recommender, tensors: Mapping[str, Tensor]) -> None:
    r"""Give the companions of a model their solutions, on the device of the model.

    Raises:
        ValueError: If a solution does not fit.
    """
    for place, companion in _scoring(model):
        parts: list[Tensor] = []
        while (name := _solution(place, len(parts))) in tensors:
            parts.append(tensors[name])
        if not parts:
            continue
        for part in parts:
            is_row = not part.is_floating_point()
            if is_row and not bool(((part >= 0) & (part < model.num_items)).all()):
                raise ValueError(f'the solution of companion {place} has unknown items')
        companion.set_solution(parts)
        score = companion.score(torch.zeros(1, dtype=torch.long, device=model.device))
        if score.shape != (1, model.num_items):
            raise ValueError(f'the solution of companion {place} has another size')


def check_claims(config: Config, shapes: Mapping[str, tuple[int, ...]]) -> None:
    r"""Raise a :class:`ValueError` if a configuration claims sizes that its tensors do
    not have, before memory of these sizes is allocated."""
    arguments, path, depth = config['arguments']['backbone']['arguments'], 'backbone', 0
    while isinstance(inner := arguments.get('backbone'), dict) and depth < 8:
        arguments, path, depth = inner['arguments'], f'{path}.backbone', depth + 1
    width = arguments['embedding_dim']
    expected = {
        'user_embedding.weight': (arguments['num_users'], width),
        'item_embedding.weight': (arguments['num_items'], width),
    }
    if 'hidden_channels' in arguments:
        hidden = arguments['hidden_channels']
        text = shapes[f'{path}.text']
        expected = {
            'projector.0.weight': (hidden, text[1]),
            'projector.2.weight': (width, hidden),
            'text': (arguments['num_users'] + arguments['num_items'], text[1]),
        }
    if arguments['num_intents'] != 0:
        expected['user_prototypes.weight'] = (width, arguments['num_intents'])
    for name, shape in expected.items():
        if shapes.get(f'{path}.{name}') != shape:
            raise ValueError(
                f'the model claims shape {shape} for {path}.{name}, but its tensor '
                f'has {shapes.get(f"{path}.{name}")}'
            )
    if not 0 < arguments['num_layers'] <= _MAX_LAYERS:
        raise ValueError(f'the model claims {arguments["num_layers"]} layers')


def _describe(module: Module, path: str) -> Config:
    cls = type(module)
    if _CLASSES.get(cls.__name__) is not cls:
        raise OwnPartError(f'its {path} is a {cls.__name__}')
    arguments: dict[str, Any] = {}
    for name in signature(cls).parameters:
        if name in _TENSORS:
            continue
        value = _read(module, _READ_AS.get(cls, {}).get(name, name))
        if name == 'companions':
            arguments[name] = [
                _describe(each, f'companions[{place}]')
                for place, each in enumerate(value)
            ]
        elif isinstance(value, Module):
            arguments[name] = _describe(value, name)
        elif isinstance(value, UserItems):
            arguments[name] = {'sizes': [value.num_users, value.num_items]}
        elif value is not _MISSING:
            arguments[name] = _plain(value, f'{path}.{name}')
    return {'class': cls.__name__, 'arguments': arguments}


_MISSING = object()


def _read(module: Module, name: str) -> Any:
    r"""An attribute of a module or, by a dotted path, of a part; :obj:`_MISSING` if the
    part is :obj:`None`."""
    value: Any = module
    for part in name.split('.'):
        if value is None:
            return _MISSING
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def _plain(value: object, path: str) -> object:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise OwnPartError(f'its {path} is a {type(value).__name__}')


def _build(config: Config, tensors: _Tensors, kind: type[Module]) -> Module:
    cls = _CLASSES.get(config['class'])
    if cls is None or not issubclass(cls, kind):
        raise ValueError(
            f'{config["class"]!r} is not a {kind.__name__} of this package'
        )
    arguments = dict(config['arguments'])
    if unknown := arguments.keys() - signature(cls).parameters.keys():
        raise ValueError(f'{cls.__name__} has no arguments {", ".join(unknown)}')
    if 'prototype_weight' in arguments:
        arguments['prototype_weight'] = 0.0  # The saved clusters are used.
    for name, value in arguments.items():
        if name == 'companions':
            arguments[name] = [
                _build(each, tensors.part(f'companions.{place}'), ClosedForm)
                for place, each in enumerate(value)
            ]
        elif name == _KNOWN and isinstance(value, dict):
            arguments[name] = UserItems(tensors[_KNOWN], *value['sizes'])
        elif isinstance(value, dict):
            arguments[name] = _build(value, tensors.part(name), Module)
    return cls(**arguments, **_tensor_arguments(cls, arguments, tensors))


def _tensor_arguments(
    cls: type[Module], arguments: Mapping[str, Any], tensors: _Tensors
) -> dict[str, Optional[Tensor]]:
    if cls is AlphaRec:
        return {
            'item_text': tensors['text'][arguments['num_users'] :],
            'interactions': tensors['interactions'],
        }
    if cls is IntentNodeBackbone:
        return _intent_edges(tensors['intent_edge_index'], arguments)
    names = signature(cls).parameters.keys() & _TENSORS
    return {name: tensors.get(name) for name in names}


def _intent_edges(
    edge_index: Tensor, arguments: Mapping[str, Any]
) -> dict[str, Optional[Tensor]]:
    num_users = arguments['backbone'].num_users
    num_items = arguments['num_items']
    node, intent = edge_index[:, : edge_index.size(1) // 2]
    intent = intent - num_users - num_items
    of_user = node < num_users
    return {
        'user_edges': torch.stack([node[of_user], intent[of_user]]),
        'item_edges': torch.stack([node[~of_user] - num_users, intent[~of_user]]),
    }


def _scoring(model: Recommender) -> list[tuple[int, ClosedForm]]:
    r"""The companions with a weight above zero, and their indices."""
    weight = model.blend_weight
    if weight is None:
        return []
    return [
        (place, each)
        for place, each in enumerate(model.companions)
        if isinstance(each, ClosedForm) and float(weight[place + 1]) != 0
    ]


def _solution(place: int, number: int) -> str:
    return f'solution.{place}.{number}'


def _shape(value: Optional[Tensor]) -> Optional[tuple[int, ...]]:
    return None if value is None else tuple(value.shape)
