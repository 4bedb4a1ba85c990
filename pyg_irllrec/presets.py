r"""Hyper-parameters as plain data: print them, copy them, change them.

A preset is a dictionary. Each of its parts is a dictionary of keyword arguments, to
pass with :obj:`**`:

- :obj:`"backbone"`: for a class in :obj:`BACKBONES`, after the numbers of users and
  items
- :obj:`"loss"`: for :class:`~pyg_irllrec.nn.IntentAlignmentLoss`
- :obj:`"model"`: for :class:`~pyg_irllrec.nn.IRLLRec`, or
  :class:`~pyg_irllrec.nn.RLMRecGen` for :obj:`"reconstruction"`
- :obj:`"ranking"`: for :class:`~pyg_irllrec.nn.SoftmaxLoss`; empty to use the ranking
  loss of the backbone instead
- :obj:`"features"`: for :class:`~pyg_irllrec.transforms.ReduceText`, if texts are
  propagated over the graph; empty otherwise
- :obj:`"companions"`: for each baseline to blend with, by its key in :obj:`BASELINES`
- :obj:`"data"`: for :class:`~pyg_irllrec.training.InteractionDataModule`
- :obj:`"fit"`: for :func:`~pyg_irllrec.training.fit`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional, Union

from pyg_irllrec.nn import (
    BIGCF,
    DCCF,
    EASE,
    SGL,
    AlphaRec,
    Backbone,
    ItemKNN,
    LightGCN,
    Popularity,
    Ranker,
    SimGCL,
)
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_choice, check_count

Preset = dict[str, dict[str, Any]]

PARTS = (
    'backbone',
    'loss',
    'model',
    'ranking',
    'features',
    'companions',
    'data',
    'fit',
)
"""The keys of a preset."""

AUTHORS_DATASETS = ('amazon', 'yelp', 'steam', 'movie')
"""The datasets on which the authors of IRLLRec and RLMRec tuned their models."""

DATASETS = (*AUTHORS_DATASETS, 'synthetic', 'own')
"""The datasets with presets: those of the authors, the generated
:class:`~pyg_irllrec.datasets.SyntheticIntents` (:obj:`"synthetic"`), and all other data
(:obj:`"own"`)."""

ALIGNMENT_TEXTS: dict[str, tuple[str, ...]] = {
    'auto': (),
    'none': (),
    'profile': ('profile',),
    'reconstruction': ('profile',),
    'intents': ('profile', 'intent'),
    'full': ('profile', 'intent'),
}
"""The text embeddings that each alignment needs: :obj:`"auto"` (needs none, but uses
those in the data, see :func:`auto_preset`), :obj:`"none"` (the plain backbone),
:obj:`"profile"` (RLMRec-Con), :obj:`"reconstruction"` (RLMRec-Gen), :obj:`"intents"`
(profiles and intents, pairwise) and :obj:`"full"` (IRLLRec)."""

ALIGNMENTS = tuple(ALIGNMENT_TEXTS)

BACKBONES: dict[str, type[Backbone]] = {
    'lightgcn': LightGCN,
    'sgl': SGL,
    'simgcl': SimGCL,
    'dccf': DCCF,
    'bigcf': BIGCF,
    'alpharec': AlphaRec,
}
"""All backbones by name."""

BASELINES: dict[str, Callable[..., Ranker]] = {
    'popularity': Popularity,
    'item_knn': ItemKNN,
    'ease': EASE,
}
"""All baselines by name."""

MAX_EASE_ITEMS = 13_000
"""With more items, ItemKNN takes the place of EASE, which solves a matrix of items
times items."""

VARIANTS = ('sound', 'authors')

_SEPARATE_PROTOTYPES = ('lightgcn', 'sgl', 'simgcl')
"""The backbones whose embeddings do not contain mixtures of prototypes."""

Values = Union[float, tuple[Optional[float], ...]]

AUTHORS: dict[str, dict[str, dict[str, Values]]] = {
    'lightgcn': {
        'none': {
            'keep_rate': 0.8,
            'layer_num': (3, 3, 2, 3),
            'reg_weight': 1e-6,
        },
        'profile': {
            'keep_rate': 0.8,
            'reg_weight': (1e-7, 1e-7, 1e-8, 1e-6),
            'kd_weight': (1e-2, 1e-2, 1e-3, 1e-3),
            'kd_temperature': (0.2, 0.2, 0.1, 0.2),
        },
        'reconstruction': {
            'keep_rate': 0.8,
            'layer_num': (2, 2, 2, 3),
            'reg_weight': (1e-7, 1e-7, 1e-6, 1e-6),
            'mask_ratio': (0.15, 0.05, 0.15, 0.15),
            'recon_weight': (0.1, 0.01, 0.1, 0.05),
            're_temperature': (0.5, 0.1, 0.5, 0.2),
        },
        'intents': {
            'reg_weight': (1e-7, 1e-7, 1e-7, 1e-6),
            'kd_weight': (1e-2, 1e-2, 1e-2, 1e-3),
            'kd_temperature': 0.2,
            'kd_int_weight': (2e-2, 1e-2, 1e-2, 3e-2),
            'kd_int_temperature': 0.2,
            'kd_int_weight_2': (1e-7, 1e-7, None, 1e-7),
            'kd_int_weight_3': (1e-7, 1e-7, None, 1e-7),
        },
    },
    'sgl': {
        'none': {
            'layer_num': (3, 3, 2, 3),
            'reg_weight': (1e-5, 1e-6, 1e-5, 1e-6),
            'cl_weight': (0.1, 1e-3, 0.1, 0.01),
            'cl_temperature': (0.2, 0.1, 0.5, 0.1),
        },
        'profile': {
            'reg_weight': (1e-5, 1e-5, 1e-5, 1e-6),
            'cl_weight': (0.1, 0.1, 0.1, 0.01),
            'cl_temperature': (0.2, 0.2, 0.5, 0.1),
            'kd_weight': 1e-2,
            'kd_temperature': (0.5, 1.0, 1.0, 0.5),
        },
        'reconstruction': {
            'reg_weight': (1e-5, 1e-5, 1e-5, 1e-6),
            'cl_weight': (0.1, 0.1, 0.1, 0.01),
            'cl_temperature': (0.2, 0.2, 0.5, 0.2),
            'mask_ratio': (0.2, 0.15, 0.1, 0.2),
            'recon_weight': (0.1, 0.1, 0.1, 0.05),
            're_temperature': 0.2,
        },
        'intents': {
            'reg_weight': (1e-5, 1e-5, 1e-5, 1e-6),
            'cl_weight': (0.1, 0.1, 0.1, 0.01),
            'cl_temperature': (0.2, 0.2, 0.5, 0.1),
            'kd_weight': 1e-2,
            'kd_temperature': (0.5, 1.0, 1.0, 0.5),
            'kd_int_weight': (1e-3, 1e-2, 1e-2, 2e-2),
            'kd_int_temperature': (0.1, 1.0, 0.01, 0.2),
            'kd_int_weight_2': (5e-4, 5e-4, None, 1e-4),
            'kd_int_weight_3': (1e-4, 1e-4, None, 1e-5),
        },
    },
    'simgcl': {
        'none': {
            'reg_weight': (1e-5, 1e-5, 1e-5, 1e-6),
            'cl_weight': (0.1, 0.1, 0.1, 0.02),
            'cl_temperature': (0.2, 0.2, 0.5, 0.1),
            'eps': (0.9, 0.9, 0.2, 0.1),
        },
        'profile': {
            'reg_weight': (1e-5, 1e-5, 1e-5, 1e-6),
            'cl_weight': (0.1, 0.1, 0.1, 0.02),
            'cl_temperature': (0.2, 0.2, 0.5, 0.1),
            'eps': (0.9, 0.9, 0.2, 0.1),
            'kd_weight': 1e-2,
            'kd_temperature': (0.2, 0.1, 0.2, 0.2),
        },
        'reconstruction': {
            'reg_weight': (1e-5, 1e-5, 1e-5, 1e-6),
            'cl_weight': (0.1, 0.1, 0.1, 0.02),
            'cl_temperature': (0.2, 0.2, 0.5, 0.1),
            'eps': (0.9, 0.9, 0.2, 0.1),
            'mask_ratio': (0.05, 0.01, 0.05, 0.6),
            'recon_weight': (0.1, 0.01, 0.01, 0.01),
            're_temperature': (0.2, 0.05, 0.1, 0.2),
        },
        'intents': {
            'reg_weight': (1e-5, 1e-5, 1e-5, 1e-6),
            'cl_weight': (0.1, 0.1, 0.1, 0.02),
            'cl_temperature': (0.2, 0.2, 0.5, 0.1),
            'eps': (0.9, 0.9, 0.2, 0.1),
            'kd_weight': 1e-2,
            'kd_temperature': (0.2, 0.1, 0.2, 0.2),
            'kd_int_weight': (2e-2, 1e-2, 5e-3, 3e-2),
            'kd_int_temperature': (0.1, 0.1, 0.2, 0.2),
            'kd_int_weight_2': (5e-4, 1e-3, None, 1e-3),
            'kd_int_weight_3': (1e-4, 1e-4, None, 1e-4),
        },
    },
    'dccf': {
        'none': {
            'layer_num': (2, 2, 3, 3),
            'reg_weight': (1e-4, 1e-4, 1e-3, 1e-3),
            'cl_weight': 1e-3,
            'cl_temperature': 0.1,
        },
        'profile': {
            'layer_num': (2, 2, 3, 3),
            'reg_weight': (1e-4, 1e-4, 1e-3, 1e-3),
            'cl_weight': 1e-3,
            'cl_temperature': 0.1,
            'kd_weight': 1e-2,
            'kd_temperature': (0.5, 0.2, 0.5, 0.1),
        },
        'reconstruction': {
            'layer_num': (2, 2, 3, 3),
            'reg_weight': (1e-4, 1e-4, 1e-3, 1e-3),
            'cl_weight': 1e-3,
            'cl_temperature': 0.1,
            'mask_ratio': (0.05, 0.05, 0.1, 0.1),
            'recon_weight': (0.1, 0.01, 0.01, 0.01),
            're_temperature': (0.2, 0.1, 0.2, 0.2),
        },
        'intents': {
            'layer_num': (2, 2, 3, 3),
            'reg_weight': (1e-4, 1e-4, 1e-3, 1e-3),
            'cl_weight': 1e-3,
            'cl_temperature': 0.1,
            'kd_weight': 1e-2,
            'kd_temperature': (0.5, 0.2, 0.5, 0.1),
            'kd_int_weight': (2e-2, 1e-2, 1e-2, 5e-2),
            'kd_int_temperature': (0.1, 0.2, 1.0, 0.2),
            'kd_int_weight_2': (5e-4, 1e-3, None, 1e-3),
            'kd_int_weight_3': (1e-4, 1e-4, None, 1e-4),
        },
    },
    'bigcf': {
        'none': {
            'reg_weight': 1e-5,
            'cen_weight': 1e-5,
            'cl_weight': (0.05, 0.05, 0.01, 0.02),
            'cl_temperature': 0.2,
        },
        'profile': {
            'reg_weight': 1e-5,
            'cen_weight': 1e-5,
            'cl_weight': (0.05, 0.04, 0.01, 0.02),
            'cl_temperature': 0.2,
            'kd_weight': 1e-2,
            'kd_temperature': 0.2,
        },
        'reconstruction': {
            'reg_weight': 1e-5,
            'cen_weight': 1e-5,
            'cl_weight': (0.05, 0.05, 0.01, 0.02),
            'cl_temperature': 0.2,
            'mask_ratio': (0.6, 0.2, 0.2, 0.2),
            'recon_weight': (0.02, 0.05, 0.1, 0.01),
            're_temperature': (0.1, 0.1, 0.5, 0.5),
        },
        'intents': {
            'reg_weight': 1e-5,
            'cen_weight': 1e-5,
            'cl_weight': (0.05, 0.05, 0.01, 0.02),
            'cl_temperature': 0.2,
            'kd_weight': 1e-2,
            'kd_temperature': 0.2,
            'kd_int_weight': (2e-2, 3e-2, 1e-2, 3e-2),
            'kd_int_temperature': (0.1, 0.2, 0.2, 0.2),
            'kd_int_weight_2': (1e-3, 5e-4, None, 5e-4),
            'kd_int_weight_3': (2e-4, 1e-4, None, 1e-5),
        },
    },
    'alpharec': {
        'none': {'layer_num': (2, 2, 2, 3), 'reg_weight': 1e-6, 'tau': 0.15},
    },
}
"""The published settings of the authors of IRLLRec and RLMRec, under the authors'
names, by backbone and alignment: one value for all datasets, or one per dataset in the
order of :obj:`AUTHORS_DATASETS`, with :obj:`None` if they have no value.
:obj:`kd_int_weight_2` and :obj:`kd_int_weight_3` apply to :obj:`"full"` only."""


def get_preset(
    backbone: str = 'lightgcn',
    dataset: str = 'own',
    alignment: str = 'auto',
    variant: str = 'sound',
) -> Preset:
    r"""Return the hyper-parameters for a backbone, an alignment and a dataset, as a new
    copy. Those of :obj:`"auto"` depend on the size of the data, see
    :func:`auto_preset`; here they are those for data of medium size.

    The settings of :obj:`"synthetic"` are based on Yelp, those of :obj:`"own"` on
    Amazon. :obj:`"own"` approximates the translation term by moments, in linear time.
    For LightGCN, it uses the L2 weight of the model without texts and, with intents,
    also its edge dropout and a quarter of Amazon's intent weight, which outweighed the
    ranking loss on MovieLens.

    Args:
        backbone (str): A key of :obj:`BACKBONES`. (default: :obj:`"lightgcn"`)
        dataset (str): One of :obj:`DATASETS`. (default: :obj:`"own"`)
        alignment (str): One of :obj:`ALIGNMENTS`. (default: :obj:`"auto"`)
        variant (str): :obj:`"sound"`, see :func:`sound_preset`, or :obj:`"authors"`,
            see :func:`authors_preset`. (default: :obj:`"sound"`)

    Raises:
        ValueError: If a name is unknown, or if :obj:`alignment` is :obj:`"auto"` for
            :obj:`"authors"`, who do not have it.

    Example:
        >>> from pyg_irllrec.presets import get_preset
        >>> preset = get_preset('lightgcn', 'amazon', 'full')
        >>> preset['backbone']
        {'embedding_dim': 32, 'num_layers': 3, 'num_intents': 128, 'edge_dropout': 0.0}
        >>> preset['loss']['intent_weight']
        0.02
    """
    check_choice('backbone', backbone, tuple(BACKBONES))
    check_choice('dataset', dataset, DATASETS)
    check_choice('alignment', alignment, ALIGNMENTS)
    check_choice('variant', variant, VARIANTS)
    if alignment == 'auto':
        if variant == 'authors':
            raise ValueError(
                "'variant' must be 'sound' for alignment='auto', which the authors do "
                "not have, got 'authors': choose another alignment"
            )
        return auto_preset(backbone)
    nearest = {'synthetic': 'yelp', 'own': 'amazon'}
    preset = (sound_preset if variant == 'sound' else authors_preset)(
        backbone, nearest.get(dataset, dataset), alignment
    )
    if dataset == 'synthetic':
        preset['data']['batch_size'] = 1024
        preset['fit'] |= {'check_every': 2, 'patience': 10}
        if 'num_intents' in preset['backbone']:
            preset['backbone']['num_intents'] = 16
        if 'intent' in ALIGNMENT_TEXTS[alignment] and backbone in _SEPARATE_PROTOTYPES:
            # Makes prototypes interpretable: see benchmarks/prototypes.py.
            preset['backbone']['intent_temperature'] = 0.1
            preset['model']['prototype_weight'] = 0.03
    elif dataset == 'own':
        _adapt_to_own_data(preset, backbone, alignment)
    return preset


def auto_preset(
    backbone: str = 'lightgcn',
    num_users: int = 10_000,
    num_items: int = 10_000,
    num_interactions: int = 100_000,
    has_texts: bool = False,
) -> Preset:
    r"""Return the hyper-parameters that work best without tuning: the ranking loss
    is a softmax over all items; texts, if there are any, are propagated as node
    features and, for LightGCN, latent intents represent clusters of texts; and the
    scores are blended with those of :class:`~pyg_irllrec.nn.EASE`, which also reads
    texts. The weights of the blend are chosen on validation: a part that does not help
    gets weight 0.

    Large data changes the preset: above 13 000 items, for which EASE takes gigabytes,
    :class:`~pyg_irllrec.nn.ItemKNN` replaces it; above 50 000 items, the softmax is
    over sampled items; above 200 000 nodes, embeddings are narrower. These changes save
    time and memory, but their quality was not measured.

    Args:
        backbone (str): A key of :obj:`BACKBONES`. (default: :obj:`"lightgcn"`)
        num_users (int): The number of users. (default: :obj:`10000`)
        num_items (int): The number of items. (default: :obj:`10000`)
        num_interactions (int): The number of training interactions.
            (default: :obj:`100000`)
        has_texts (bool): Whether both users and items have texts.
            (default: :obj:`False`)

    Raises:
        ValueError: If the backbone is unknown or a number is below 1.

    Example:
        >>> from pyg_irllrec.presets import auto_preset
        >>> preset = auto_preset(num_users=6000, num_items=4000, has_texts=True)
        >>> preset['ranking'], preset['companions'], preset['features']
        ({'temperature': 0.2}, {'ease': {}}, {'dim': 128, 'whiten': True})
    """
    check_choice('backbone', backbone, tuple(BACKBONES))
    check_count('num_users', num_users)
    check_count('num_items', num_items)
    check_count('num_interactions', num_interactions)
    check_flag('has_texts', has_texts)
    small = num_items < 5000
    large = num_users + num_items > 200_000
    arguments: dict[str, Any] = {
        'embedding_dim': 128 if small else 64 if large else 256
    }
    if backbone != 'alpharec':
        arguments['num_layers'] = 2
    model: dict[str, Any] = {'l2_weight': 1e-7, 'normalize': True}
    if has_texts and backbone == 'lightgcn':
        # Latent intents for clusters of texts improve and explain the ranking.
        arguments |= {
            'num_intents': 32,
            'intent_temperature': 0.1,
            'interaction_intents': False,
        }
        model['prototype_weight'] = 0.01
    ranking: dict[str, Any] = {'temperature': 0.2 if small else 0.15}
    if num_items > 50_000:  # Scoring all items would cost more than propagation.
        ranking['num_samples'] = 8192
    return {
        'backbone': arguments,
        'loss': {'translation_weight': 0.0, 'matching_weight': 0.0},
        'model': model,
        'ranking': ranking,
        'features': {'dim': 128, 'whiten': True} if has_texts else {},
        'companions': {'ease' if num_items <= MAX_EASE_ITEMS else 'item_knn': {}},
        # Eight steps per epoch, because each step propagates over the whole graph.
        'data': {
            'batch_size': min(
                max(num_interactions // 8, 1024), 131072 if large else 16384
            ),
            'batch_by': 'user',
        },
        'fit': {'lr': 1e-3 if small else 2e-3, 'check_every': 2, 'patience': 5},
    }


def _adapt_to_own_data(preset: Preset, backbone: str, alignment: str) -> None:
    preset['data']['batch_size'] = 1024
    preset['fit']['check_every'] = 2
    if alignment == 'full':
        preset['loss']['translation_impl'] = 'moments'
    if backbone == 'lightgcn':
        preset['model']['l2_weight'] = 1e-6
        if 'intent' in ALIGNMENT_TEXTS[alignment]:
            preset['backbone']['edge_dropout'] = 0.2
            preset['loss']['intent_weight'] = 5e-3


def authors_preset(backbone: str, dataset: str, alignment: str) -> Preset:
    r"""Return the settings that the authors of IRLLRec (`arXiv:2502.03307
    <https://arxiv.org/abs/2502.03307>`_) and RLMRec (`arXiv:2310.15950
    <https://arxiv.org/abs/2310.15950>`_) publish for a backbone and a dataset,
    including their design choices: users are contrasted with all users but items with
    those in the batch, duplicates in a batch count, the L2 term includes the frozen
    teacher, and AlphaRec ranks by inner products.

    The authors run :obj:`"full"` for LightGCN only; for other backbones, the preset
    takes the weights from their configuration files, in which they are unused. They run
    AlphaRec without alignment only; with alignment, it takes the weights of LightGCN.
    Steam has no weights for translation and matching, and no settings for LightGCN with
    intents; it takes the weights of Amazon, and otherwise the general values of the
    configuration.

    Some details of their code have no argument here:

    - They train for up to 3000 epochs (:obj:`fit(..., epochs=3000)`) and validate after
      epochs 1, 4, 7 and so on; :func:`~pyg_irllrec.training.fit` validates after epochs
      3, 6, 9 and so on.
    - Their BIGCF also adds noise in evaluation.
    - Their teacher starts from its own random weights.
    - Their BIGCF with reconstruction also sees the features of masked nodes. Their SGL
      on Steam runs three layers, although its configuration has two.

    Args:
        backbone (str): A key of :obj:`AUTHORS`.
        dataset (str): One of :obj:`AUTHORS_DATASETS`.
        alignment (str): One of :obj:`ALIGNMENTS` except :obj:`"auto"`.

    Raises:
        ValueError: If a name is unknown.

    Example:
        >>> from pyg_irllrec.presets import authors_preset
        >>> preset = authors_preset('sgl', 'yelp', 'full')
        >>> preset['fit']
        {'lr': 0.001, 'check_every': 3, 'patience': 5}
        >>> preset['loss']['user_negatives'], preset['loss']['duplicates']
        ('all', True)
    """
    check_choice('backbone', backbone, tuple(AUTHORS))
    check_choice('dataset', dataset, AUTHORS_DATASETS)
    check_choice('alignment', alignment, ALIGNMENTS[1:])  # The authors have no 'auto'.
    config = _authors_config(backbone, dataset, alignment)
    arguments = authors_backbone(backbone, config)
    with_intents = alignment in ('intents', 'full')
    if backbone == 'bigcf':
        arguments['interaction_intents'] = with_intents
    model: dict[str, Any] = {'l2_weight': config['reg_weight']}
    if alignment == 'reconstruction':
        model |= {
            'mask_ratio': config['mask_ratio'],
            'weight': config['recon_weight'],
            'temperature': config['re_temperature'],
            'max_rows': None,
        }
    else:
        model |= {'l2_teacher': True, 'momentum': 0.999}
    is_alpharec = backbone == 'alpharec'  # It has its own schedule.
    return {
        'backbone': arguments,
        'loss': authors_loss(config, backbone),
        'model': model,
        'ranking': {},
        'features': {},
        'companions': {},
        'data': {'batch_size': 1024 if is_alpharec else 4096},
        'fit': {
            'lr': 1e-3,
            'check_every': 1 if is_alpharec else 3,
            'patience': 20 if is_alpharec else 5,
        },
    }


def _authors_config(backbone: str, dataset: str, alignment: str) -> dict[str, float]:
    r"""Return one column of :obj:`AUTHORS`."""
    tables = AUTHORS[backbone]
    name = 'intents' if alignment == 'full' else alignment
    table = tables.get(name) or {**AUTHORS['lightgcn'][name], **tables['none']}
    column = AUTHORS_DATASETS.index(dataset)
    config: dict[str, float] = {}
    for key, values in table.items():
        columns = values if isinstance(values, tuple) else (values,) * 4
        value = columns[0] if columns[column] is None else columns[column]
        assert value is not None, 'the first column has every value'
        config[key] = value
    if name == 'intents' or backbone in ('dccf', 'bigcf'):
        config['intent_num'] = 128
    if alignment != 'full':
        config |= {'kd_int_weight_2': 0.0, 'kd_int_weight_3': 0.0}
    return config


def sound_preset(backbone: str, dataset: str, alignment: str) -> Preset:
    r"""Return the authors' tuned weights and temperatures with the design choices of
    this package: negatives are the texts in the batch, duplicate nodes count once, the
    translation and matching terms have larger weights, AlphaRec ranks by cosines, and
    the patience is at least ten checks.

    Args:
        backbone (str): A key of :obj:`AUTHORS`.
        dataset (str): One of :obj:`AUTHORS_DATASETS`.
        alignment (str): One of :obj:`ALIGNMENTS` except :obj:`"auto"`.

    Raises:
        ValueError: If a name is unknown.

    Example:
        >>> from pyg_irllrec.presets import sound_preset
        >>> preset = sound_preset('sgl', 'yelp', 'full')
        >>> preset['fit']['patience']
        10
        >>> sorted(preset['loss'])
        ['intent_temperature', 'intent_weight', 'profile_temperature', 'profile_weight']
    """
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
    for name in ('duplicates', 'eps', 'normalize', 'hidden_channels'):
        preset['backbone'].pop(name, None)
    if alignment == 'reconstruction':
        del preset['model']['max_rows']
    else:
        preset['model']['l2_teacher'] = False
    # Validation Recall still improves after plateaus of more than five checks.
    preset['fit']['patience'] = max(preset['fit']['patience'], 10)
    return preset


def authors_backbone(backbone: str, config: dict[str, Any]) -> dict[str, Any]:
    r"""Translate the authors' configuration to keyword arguments of a backbone. Values
    that :obj:`config` does not have keep the defaults of the backbone.

    Args:
        backbone (str): A key of :obj:`AUTHORS`.
        config (dict): The configuration, with the authors' names.

    Example:
        >>> from pyg_irllrec.presets import authors_backbone
        >>> config = {'layer_num': 2, 'keep_rate': 0.75, 'embedding_size': 64}
        >>> authors_backbone('lightgcn', config)
        {'embedding_dim': 64, 'num_layers': 2, 'edge_dropout': 0.25}
    """
    check_choice('backbone', backbone, tuple(AUTHORS))
    arguments: dict[str, Any] = {
        'embedding_dim': config.get('embedding_size', 32),
        'num_layers': config.get('layer_num', 3),
        'num_intents': config.get('intent_num'),
    }
    contrast = {
        'contrast_weight': config.get('cl_weight'),
        # Their configurations use both names.
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
        'alpharec': {
            'temperature': config.get('tau'),
            'hidden_channels': 768,  # Half the width of their texts.
            'normalize': False,
        },
    }
    arguments |= own[backbone]
    return {name: value for name, value in arguments.items() if value is not None}


def authors_loss(config: dict[str, Any], backbone: str = 'lightgcn') -> dict[str, Any]:
    r"""Translate the authors' configuration to keyword arguments of
    :class:`~pyg_irllrec.nn.IntentAlignmentLoss`. Their matching term contains the
    translation term a second time,

    .. math::
        w_2 \mathcal{L}_{tr} + w_3 (0.4 \, w_2 \mathcal{L}_{tr} + 0.6 \,
        \mathcal{L}_{ce}) = w_2 (1 + 0.4 \, w_3) \mathcal{L}_{tr} + 0.6 \, w_3
        \mathcal{L}_{ce}

    and this function returns the weights of the right-hand side.

    Args:
        config (dict): The configuration, with the authors' names; missing weights are
            0.
        backbone (str): A key of :obj:`AUTHORS`. (default: :obj:`"lightgcn"`)

    Example:
        >>> from pyg_irllrec.presets import authors_loss
        >>> loss = authors_loss({'kd_weight': 1e-2, 'kd_int_weight': 2e-2})
        >>> loss['profile_weight'], loss['intent_weight'], loss['translation_weight']
        (0.01, 0.02, 0.0)
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
