r"""Hyper-parameters as plain data: print them, copy them, change them.

A preset is a dictionary of keyword arguments by receiver, each usable with :obj:`**`:

- :obj:`"backbone"`: the class in :obj:`BACKBONES`, after the numbers of users and items
- :obj:`"loss"`: :class:`~pyg_irllrec.nn.IntentAlignmentLoss`
- :obj:`"model"`: :class:`~pyg_irllrec.nn.IRLLRec`, or
  :class:`~pyg_irllrec.nn.RLMRecGen` for :obj:`"reconstruction"`
- :obj:`"data"`: :class:`~pyg_irllrec.training.InteractionDataModule`
- :obj:`"fit"`: :func:`~pyg_irllrec.training.fit`
"""

from __future__ import annotations

from typing import Any

from pyg_irllrec.nn import (
    BIGCF,
    DCCF,
    SGL,
    AlphaRec,
    Backbone,
    LightGCN,
    SimGCL,
)
from pyg_irllrec.utils.checks import check_choice

Preset = dict[str, dict[str, Any]]

PARTS = ('backbone', 'loss', 'model', 'data', 'fit')
"""The keys of a preset."""

AUTHORS_DATASETS = ('amazon', 'yelp', 'movie')
"""The datasets on which the authors of IRLLRec tuned their models."""

DATASETS = (*AUTHORS_DATASETS, 'synthetic', 'own')
"""These, the embedded :class:`~pyg_irllrec.datasets.SyntheticIntents`, and any other
data, :obj:`"own"`."""

AUTHORS_ALIGNMENTS = ('none', 'profile', 'intents', 'full')
"""The alignments that the authors of IRLLRec ship."""

ALIGNMENT_TEXTS: dict[str, tuple[str, ...]] = {
    'none': (),
    'profile': ('profile',),
    'reconstruction': ('profile',),
    'intents': ('profile', 'intent'),
    'full': ('profile', 'intent'),
}
"""The text embeddings of nodes that each alignment reads: none (the plain backbone),
profile (RLMRec-Con), reconstruction (RLMRec-Gen), intents (profiles and intents,
pairwise) and full (IRLLRec)."""

ALIGNMENTS = tuple(ALIGNMENT_TEXTS)

BACKBONES: dict[str, type[Backbone]] = {
    'lightgcn': LightGCN,
    'sgl': SGL,
    'simgcl': SimGCL,
    'dccf': DCCF,
    'bigcf': BIGCF,
    'alpharec': AlphaRec,
}
"""All backbones by name. The authors of IRLLRec have all but AlphaRec."""

VARIANTS = ('sound', 'authors')

AUTHORS: dict[str, dict[str, tuple[float, float, float]]] = {
    'lightgcn': {
        'reg_weight': (1e-7, 1e-7, 1e-6),
        'kd_weight': (1e-2, 1e-2, 1e-3),
        'kd_temperature': (0.2, 0.2, 0.2),
        'kd_int_weight': (2e-2, 1e-2, 3e-2),
        'kd_int_temperature': (0.2, 0.2, 0.2),
        'kd_int_weight_2': (1e-7, 1e-7, 1e-7),
        'kd_int_weight_3': (1e-7, 1e-7, 1e-7),
    },
    'sgl': {
        'reg_weight': (1e-5, 1e-5, 1e-6),
        'cl_weight': (0.1, 0.1, 0.01),
        'cl_temperature': (0.2, 0.2, 0.1),
        'kd_weight': (1e-2, 1e-2, 1e-2),
        'kd_temperature': (0.5, 1.0, 0.5),
        'kd_int_weight': (1e-3, 1e-2, 2e-2),
        'kd_int_temperature': (0.1, 1.0, 0.2),
        'kd_int_weight_2': (5e-4, 5e-4, 1e-4),
        'kd_int_weight_3': (1e-4, 1e-4, 1e-5),
    },
    'simgcl': {
        'reg_weight': (1e-5, 1e-5, 1e-6),
        'eps': (0.9, 0.9, 0.1),
        'cl_weight': (0.1, 0.1, 0.02),
        'cl_temperature': (0.2, 0.2, 0.1),
        'kd_weight': (1e-2, 1e-2, 1e-2),
        'kd_temperature': (0.2, 0.1, 0.2),
        'kd_int_weight': (2e-2, 1e-2, 3e-2),
        'kd_int_temperature': (0.1, 0.1, 0.2),
        'kd_int_weight_2': (5e-4, 1e-3, 1e-3),
        'kd_int_weight_3': (1e-4, 1e-4, 1e-4),
    },
    'dccf': {
        'reg_weight': (1e-4, 1e-4, 1e-3),
        'layer_num': (2, 2, 3),
        'cl_weight': (1e-3, 1e-3, 1e-3),
        'cl_temperature': (0.1, 0.1, 0.1),
        'kd_weight': (1e-2, 1e-2, 1e-2),
        'kd_temperature': (0.5, 0.2, 0.1),
        'kd_int_weight': (2e-2, 1e-2, 5e-2),
        'kd_int_temperature': (0.1, 0.2, 0.2),
        'kd_int_weight_2': (5e-4, 1e-3, 1e-3),
        'kd_int_weight_3': (1e-4, 1e-4, 1e-4),
    },
    'bigcf': {
        'reg_weight': (1e-5, 1e-5, 1e-5),
        'cen_weight': (1e-5, 1e-5, 1e-5),
        'cl_weight': (0.05, 0.05, 0.02),
        'cl_temperature': (0.2, 0.2, 0.2),
        'kd_weight': (1e-2, 1e-2, 1e-2),
        'kd_temperature': (0.2, 0.2, 0.2),
        'kd_int_weight': (2e-2, 3e-2, 3e-2),
        'kd_int_temperature': (0.1, 0.2, 0.2),
        'kd_int_weight_2': (1e-3, 5e-4, 5e-4),
        'kd_int_weight_3': (2e-4, 1e-4, 1e-5),
    },
}
"""What the authors of IRLLRec ship, under their names: one value per dataset, in the
order of :obj:`AUTHORS_DATASETS`."""


def get_preset(
    backbone: str = 'lightgcn',
    dataset: str = 'own',
    alignment: str = 'full',
    variant: str = 'sound',
) -> Preset:
    r"""The hyper-parameters of any backbone with any alignment on any dataset, as a
    fresh copy.

    The authors of IRLLRec tuned five backbones on three datasets. All else starts from
    the nearest of theirs: :obj:`"synthetic"` from Yelp, :obj:`"own"` from Amazon,
    AlphaRec from LightGCN, and :obj:`"reconstruction"` from :obj:`"none"`.
    :obj:`"own"` takes the translation term by moments, which is linear in the number of
    nodes, and, for LightGCN with intents, the dropout and the L2 weight of LightGCN
    without, and a quarter of Amazon's weight of intents, which outweighed the ranking
    on MovieLens (:obj:`benchmarks/intent_quality.py`).

    Args:
        backbone (str): A key of :obj:`BACKBONES`. (default: :obj:`"lightgcn"`)
        dataset (str): One of :obj:`DATASETS`. (default: :obj:`"own"`)
        alignment (str): One of :obj:`ALIGNMENTS`. (default: :obj:`"full"`)
        variant (str): :obj:`"sound"`, see :func:`sound_preset`, or :obj:`"authors"`,
            see :func:`authors_preset`. (default: :obj:`"sound"`)

    Raises:
        ValueError: If a name is unknown.
    """
    check_choice('backbone', backbone, tuple(BACKBONES))
    check_choice('dataset', dataset, DATASETS)
    check_choice('alignment', alignment, ALIGNMENTS)
    check_choice('variant', variant, VARIANTS)
    nearest = {'synthetic': 'yelp', 'own': 'amazon'}
    preset = (sound_preset if variant == 'sound' else authors_preset)(
        'lightgcn' if backbone == 'alpharec' else backbone,
        nearest.get(dataset, dataset),
        'none' if alignment == 'reconstruction' else alignment,
    )
    if dataset == 'synthetic':
        preset['data']['batch_size'] = 1024
        preset['fit'] |= {'check_every': 2, 'patience': 5}
        if 'num_intents' in preset['backbone']:
            preset['backbone']['num_intents'] = 16
    elif dataset == 'own':
        _adapt_to_own_data(preset, backbone, alignment)
    if backbone == 'alpharec':
        kept = ('embedding_dim', 'num_intents')
        values = preset['backbone'].items()
        preset['backbone'] = {name: value for name, value in values if name in kept}
    if alignment == 'reconstruction':
        preset['model'] = {'l2_weight': preset['model']['l2_weight']}
    return preset


def _adapt_to_own_data(preset: Preset, backbone: str, alignment: str) -> None:
    preset['data']['batch_size'] = 1024
    preset['fit']['check_every'] = 2
    if alignment == 'full':
        preset['loss']['translation_impl'] = 'moments'
    if 'intent' in ALIGNMENT_TEXTS[alignment] and backbone == 'lightgcn':
        preset['backbone']['edge_dropout'] = 0.2
        preset['model']['l2_weight'] = 1e-6
        preset['loss']['intent_weight'] = 5e-3


def authors_preset(backbone: str, dataset: str, alignment: str) -> Preset:
    r"""What the authors of IRLLRec (`arXiv:2502.03307
    <https://arxiv.org/abs/2502.03307>`_) ship for a backbone and a dataset, with
    their choices: users contrast with all users but items with the batch,
    duplicates in a batch count, and the frozen teacher counts in L2. They have
    :obj:`"full"` for LightGCN alone; for the others it takes the weights that stand
    in their configuration without being used. The numbers are those of their models
    with intents; :obj:`"none"` and :obj:`"profile"` take the same, but for LightGCN,
    whose plain model has an edge dropout and an L2 weight of its own.

    Args:
        backbone (str): A key of :obj:`AUTHORS`.
        dataset (str): :obj:`"amazon"`, :obj:`"yelp"` or :obj:`"movie"`.
        alignment (str): :obj:`"none"`, :obj:`"profile"` (RLMRec-Con),
            :obj:`"intents"` (and pairwise intents) or :obj:`"full"`.

    Raises:
        ValueError: If a name is unknown.
    """
    check_choice('backbone', backbone, tuple(AUTHORS))
    check_choice('dataset', dataset, AUTHORS_DATASETS)
    check_choice('alignment', alignment, AUTHORS_ALIGNMENTS)
    column = AUTHORS_DATASETS.index(dataset)
    config: dict[str, Any] = {
        name: values[column] for name, values in AUTHORS[backbone].items()
    }
    with_intents = alignment in ('intents', 'full')
    if with_intents or backbone in ('dccf', 'bigcf'):
        config['intent_num'] = 128
    if backbone == 'lightgcn' and not with_intents:
        config |= {'keep_rate': 0.8, 'reg_weight': 1e-6}
    arguments = authors_backbone(backbone, config)
    if backbone == 'bigcf':
        arguments['interaction_intents'] = with_intents
    if alignment != 'full':
        config |= {'kd_int_weight_2': 0.0, 'kd_int_weight_3': 0.0}
    return {
        'backbone': arguments,
        'loss': authors_loss(config, backbone),
        'model': {
            'l2_weight': config['reg_weight'],
            'l2_teacher': True,
            'momentum': 0.999,
        },
        'data': {'batch_size': 4096},
        'fit': {'lr': 1e-3, 'check_every': 3, 'patience': 5},
    }


def sound_preset(backbone: str, dataset: str, alignment: str) -> Preset:
    r"""The authors' tuned weights and temperatures with this package's own choices:
    texts of the batch as negatives, nodes that count once, translation and matching
    terms that weigh enough to count, and ten checks of patience. Arguments, result and
    errors are those of :func:`authors_preset`."""
    preset = authors_preset(backbone, dataset, alignment)
    tuned = (
        'profile_weight',
        'intent_weight',
        'profile_temperature',
        'intent_temperature',
    )
    preset['loss'] = {name: preset['loss'][name] for name in tuned}
    if alignment != 'full':
        preset['loss'] |= {'translation_weight': 0.0, 'matching_weight': 0.0}
    for name in ('duplicates', 'eps'):
        preset['backbone'].pop(name, None)
    preset['model']['l2_teacher'] = False
    # Validation Recall still climbs through plateaus longer than five checks.
    preset['fit']['patience'] = 10
    return preset


def authors_backbone(backbone: str, config: dict[str, Any]) -> dict[str, Any]:
    r"""Keyword arguments of a backbone from the names of the authors' configuration;
    what :obj:`config` does not have is left at the backbone's own default.

    Args:
        backbone (str): A key of :obj:`AUTHORS`.
        config (dict): Their configuration.
    """
    check_choice('backbone', backbone, tuple(AUTHORS))
    arguments: dict[str, Any] = {
        'embedding_dim': config.get('embedding_size', 32),
        'num_layers': config.get('layer_num', 3),
        'num_intents': config.get('intent_num'),
    }
    contrast = {
        'contrast_weight': config.get('cl_weight'),
        # Their configurations have both names.
        'temperature': config.get('cl_temperature', config.get('temperature')),
    }
    dropout = 1 - config.get('keep_rate', 0.8 if backbone == 'sgl' else 1.0)
    own: dict[str, dict[str, Any]] = {
        'lightgcn': {'edge_dropout': dropout},
        'sgl': {'dropout': dropout, 'duplicates': True, **contrast},
        'simgcl': {'noise': config.get('eps'), 'duplicates': True, **contrast},
        'dccf': contrast,
        'bigcf': {
            'center_weight': config.get('cen_weight'),
            'duplicates': True,
            'eps': 1e-8,
            **contrast,
        },
    }
    arguments |= own[backbone]
    return {name: value for name, value in arguments.items() if value is not None}


def authors_loss(config: dict[str, Any], backbone: str = 'lightgcn') -> dict[str, Any]:
    r"""Keyword arguments of :class:`~pyg_irllrec.nn.IntentAlignmentLoss` from the
    names of the authors' configuration. Their matching term contains the
    translation term once more,

    .. math::
        w_2 \mathcal{L}_{tr} + w_3 (0.4 \, w_2 \mathcal{L}_{tr} + 0.6 \,
        \mathcal{L}_{ce}) = w_2 (1 + 0.4 \, w_3) \mathcal{L}_{tr} + 0.6 \, w_3
        \mathcal{L}_{ce}

    and is written here as the right-hand side.

    Args:
        config (dict): Their configuration. Weights that it does not have are zero.
        backbone (str): A key of :obj:`AUTHORS`. (default: :obj:`"lightgcn"`)
    """
    check_choice('backbone', backbone, tuple(AUTHORS))
    translation = config.get('kd_int_weight_2', 0.0)
    matching = config.get('kd_int_weight_3', 0.0)
    return {
        'profile_weight': config.get('kd_weight', 0.0),
        'intent_weight': config.get('kd_int_weight', 0.0),
        'translation_weight': translation * (1 + 0.4 * matching),
        'matching_weight': 0.6 * matching,
        'profile_temperature': config.get('kd_temperature', 0.2),
        'intent_temperature': config.get('kd_int_temperature', 0.2),
        'user_negatives': 'all',
        'item_negatives': 'batch',
        'duplicates': True,
        'negative_item_intents': backbone != 'simgcl',
        'eps': 1e-8,
    }
