r"""Hyper-parameters as plain data: print them, copy them, change them."""

from __future__ import annotations

from typing import Any

from pyg_irllrec.nn import (
    BIGCF,
    DCCF,
    SGL,
    EmbeddingBackbone,
    LightGCN,
    SimGCL,
)
from pyg_irllrec.utils.checks import check_choice

Preset = dict[str, dict[str, Any]]

DATASETS = ('amazon', 'yelp', 'movie')
ALIGNMENTS = ('none', 'profile', 'intents', 'full')

BACKBONES: dict[str, type[EmbeddingBackbone]] = {
    'lightgcn': LightGCN,
    'sgl': SGL,
    'simgcl': SimGCL,
    'dccf': DCCF,
    'bigcf': BIGCF,
}
"""The backbones of the paper by the names under which their presets stand."""

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
"""What the authors of IRLLRec ship, by their names: a value a dataset, in the order of
:obj:`DATASETS`."""


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

    Returns:
        Keyword arguments by receiver: :obj:`"backbone"`, :obj:`"alignment"`
        (:class:`~pyg_irllrec.nn.IntentAlignmentLoss`), :obj:`"model"`
        (:class:`~pyg_irllrec.nn.IRLLRec`) and :obj:`"training"`.
    """
    check_choice('backbone', backbone, tuple(AUTHORS))
    check_choice('dataset', dataset, DATASETS)
    check_choice('alignment', alignment, ALIGNMENTS)
    column = DATASETS.index(dataset)
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
        'alignment': authors_alignment(config, backbone),
        'model': {
            'l2_weight': config['reg_weight'],
            'l2_teacher': True,
            'momentum': 0.999,
        },
        'training': {
            'batch_size': 4096,
            'lr': 1e-3,
            'check_every': 3,
            'patience': 5,
        },
    }


def sound_preset(backbone: str, dataset: str, alignment: str) -> Preset:
    r"""The authors' tuned weights and temperatures with this package's own choices:
    texts of the batch as negatives, nodes that count once, translation and matching
    terms that weigh enough to be felt, and ten checks of patience. Arguments and
    result are those of :func:`authors_preset`."""
    preset = authors_preset(backbone, dataset, alignment)
    tuned = (
        'profile_weight',
        'intent_weight',
        'profile_temperature',
        'intent_temperature',
    )
    preset['alignment'] = {name: preset['alignment'][name] for name in tuned}
    if alignment != 'full':
        preset['alignment'] |= {'translation_weight': 0.0, 'matching_weight': 0.0}
    for name in ('duplicates', 'eps'):
        preset['backbone'].pop(name, None)
    preset['model']['l2_teacher'] = False
    # Validation Recall still climbs through plateaus longer than five checks.
    preset['training']['patience'] = 10
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


def authors_alignment(
    config: dict[str, Any], backbone: str = 'lightgcn'
) -> dict[str, Any]:
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
