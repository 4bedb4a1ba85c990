from __future__ import annotations

import sys
from collections.abc import Collection
from itertools import chain
from typing import Any, Optional

from pyg_irllrec.nn import Recommender
from pyg_irllrec.training.interaction_data_module import InteractionDataModule
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.digest import (
    describe_module,
    describe_tensor,
    hash_graph,
    hash_interactions,
    same_sketch,
)

STATE = 'changed by training'
"""The value of a part that is not a setting. It equals all other values."""

BUILD_ALIKE = (
    'build the model from the data and with the options of the training (to use other '
    'data on purpose, load_weights(model, path, check_data=False))'
)
"""The advice to users who build a model in Python."""

_WORDS = {
    'train': 'other training interactions',
    'val': 'other validation interactions',
    'test': 'other test interactions',
    'graph': "another graph (the model's 'edge_index')",
    'edge_weight': "other edge weights (the model's 'edge_weight')",
}
_SETTINGS = {
    'batch_size': "the data module's batch_size",
    'batch_by': "the data module's batch_by",
    'data_seed': "the data module's seed",
    'num_neighbors': "the data module's num_neighbors",
    'num_samples': "the data module's num_samples",
    'version': 'the version of pyg_irllrec',
    'dtype': "the model's dtype",
}


def fingerprint(
    model: Recommender, data: Optional[InteractionDataModule] = None
) -> dict[str, Any]:
    r"""Return a short description of the model and the data of a run, in JSON types.
    It identifies a run when it is resumed, and a model when weights are loaded. One
    pass over the data and the model computes it.

    - :obj:`train`, :obj:`val` and :obj:`test` are hashes of the interactions, which do
      not depend on their order. :obj:`nodes` has hashes of the ids and the texts of
      nodes.
    - :obj:`batch_size`, :obj:`batch_by` and :obj:`data_seed` are those of the data
      module, with the sampling of :class:`~pyg_irllrec.training.SampledDataModule`.
    - :obj:`graph` is a hash of the edges that the model propagates on.
    - :obj:`edge_weight` and the texts of the model by name, such as :obj:`profile` and
      :obj:`intent`, are a few numbers each, which are compared up to rounding.
    - :obj:`model` has the class and the settings of every part of the model,
      :obj:`dtype` the types of its weights, and :obj:`version` is that of this package.

    Args:
        model (Recommender): The model.
        data (InteractionDataModule, optional): The interactions to train and test on.
            (default: :obj:`None`)

    Raises:
        ValueError: If an argument has another type.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import InteractionDataModule, fingerprint
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> found = fingerprint(build_model(data), InteractionDataModule(data))
        >>> found['batch_size'], found['model']['backbone.num_layers']
        (4096, '2')
    """
    check_instance('model', model, Recommender)
    package = sys.modules[__name__.partition('.')[0]]
    found: dict[str, Any] = {'version': package.__version__}
    if data is not None:
        check_instance('data', data, InteractionDataModule)
        splits = {
            'train': data.train_items,
            'val': data.val_items,
            'test': data.test_items,
        }
        for name, items in splits.items():
            found[name] = None if items is None else hash_interactions(items)
        found['nodes'] = data.node_hashes
        loader = data.train_dataloader()
        found |= {'batch_size': int(loader.batch_size), 'batch_by': loader.batch_by}
        found |= {'data_seed': int(loader.seed), **data.sampling}
    found['graph'] = hash_graph(model.edge_index, model.num_users + model.num_items)
    kinds = {str(weight.dtype) for weight in model.parameters()}
    found['dtype'] = ', '.join(sorted(kinds)).replace('torch.', '')
    saved = model.state_dict().keys()
    for name, value in model.named_buffers():
        if name not in saved and name != 'edge_index':
            found[name] = describe_tensor(value)
    return found | {'model': describe_module(model)}


def mark_state(
    found: dict[str, Any], model: Recommender, buffers: Collection[str]
) -> dict[str, Any]:
    r"""Return a :func:`fingerprint` that marks the parts that training has changed, so
    that they are no longer compared.

    Args:
        found (dict): The fingerprint, taken before training.
        model (Recommender): The model, after training.
        buffers (collection of str): The names of its buffers that have changed.
    """
    before, now = found['model'], describe_module(model)
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    known = dict.fromkeys(set(buffers) & set(found), STATE)
    return with_state(found, {**known, 'model': dict.fromkeys(changed, STATE)})


def with_state(found: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    r"""Return a :func:`fingerprint` with the marks of another one."""

    def marks(values: dict[str, Any]) -> dict[str, str]:
        return {name: STATE for name, value in values.items() if value == STATE}

    settings = found['model'] | marks(known.get('model', {}))
    return found | marks(known) | {'model': settings}


def same_run(one: object, other: object) -> bool:
    r"""Whether two fingerprints are from the same run."""
    try:
        return not _differences(_checked(one, ''), _checked(other, ''))
    except ValueError:
        return False


def check_same_run(before: object, now: dict[str, Any], what: str) -> None:
    r"""Raise a :class:`ValueError` unless a run is resumed with its model and data.

    Args:
        before (dict): The :func:`fingerprint` of the checkpoint.
        now (dict): The :func:`fingerprint` of the given model and data.
        what (str): The subject of the message, such as
            :obj:`"the run in runs/mine"`.
    """
    if differ := _differences(_checked(before, what), now):
        raise ValueError(
            f'{what} was begun with {"; ".join(differ)}: resume it with the same, or '
            'begin a new run in another folder'
        )


def check_same_model(before: object, now: dict[str, Any], what: str) -> None:
    r"""Raise a :class:`ValueError` unless a model scores like the model of a
    checkpoint: with the same graph, texts, backbone and companions.

    Args:
        before (dict): The :func:`fingerprint` of the checkpoint.
        now (dict): The :func:`fingerprint` of the given model.
        what (str): The subject of the message, such as :obj:`"runs/mine/best.ckpt"`.
    """
    old, new = (_scoring_part(each) for each in (_checked(before, what), now))
    if differ := _differences(old, new):
        raise ValueError(f'{what} was trained with {"; ".join(differ)}: {BUILD_ALIKE}')


def _checked(before: object, what: str) -> dict[str, Any]:
    if isinstance(before, dict) and isinstance(before.get('model'), dict):
        parts = (before['model'], before.get('nodes') or {})
        if all(isinstance(name, str) for name in before) and all(
            isinstance(part, dict)
            and all(isinstance(x, str) for x in chain(*part.items()))
            for part in parts
        ):
            return before
    raise ValueError(f'{what} holds no fingerprint of its model and data')


def _scoring_part(found: dict[str, Any]) -> dict[str, Any]:
    r"""Return the part of a fingerprint that affects scores."""
    apart = (
        'version',
        'dtype',
        'nodes',
        'train',
        'val',
        'test',
        'batch_size',
        'batch_by',
        'data_seed',
        'num_neighbors',
        'num_samples',
        'model',
    )
    model = {
        name: value
        for name, value in found['model'].items()
        if name.split('.')[0] in ('backbone', 'companions', 'normalize')
        and name.split('.')[-1] not in ('impl', 'max_bytes', '_given')
    }
    return {name: found[name] for name in found if name not in apart} | {'model': model}


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    r"""Return descriptions of all differences."""
    found = []
    for name in {**before, **now}:
        old, new = before.get(name), now.get(name)
        if old == new or STATE in (old, new) or same_sketch(old, new):
            continue
        if name == 'nodes':
            # Texts do not affect training. Their vectors do, and are in the model.
            found += [
                f'other ids of {role}s'
                for role in ('user', 'item')
                if (old or {}).get(f'{role}.id') != (new or {}).get(f'{role}.id')
            ]
        elif name == 'model':
            found += _setting_differences(old or {}, new or {})
        elif name in _SETTINGS:
            found.append(f'{_SETTINGS[name]} {old}, not {new}')
        else:
            found.append(_WORDS.get(name, f"other '{name}' of the model"))
    return found


def _setting_differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    none = 'absent'
    differ = [
        f"the model's {name} {before.get(name, none)}, not {now.get(name, none)}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
        and STATE not in (before.get(name), now.get(name))
    ]
    most = 3
    more = [f'{len(differ) - most} more settings'] if len(differ) > most else []
    return differ[:most] + more
