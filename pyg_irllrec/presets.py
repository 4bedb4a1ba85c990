r"""The authors' hyper-parameters, as plain data: print them, copy them, change
them."""

from __future__ import annotations

from typing import Any

from pyg_irllrec.utils.checks import check_choice

Preset = dict[str, dict[str, Any]]

_DATASETS = ('amazon', 'yelp', 'movie')
_ALIGNMENTS = ('none', 'profile', 'full')

# Weights of LightGCN with intents a dataset: L2, profile, intent.
_LIGHTGCN = {
    'amazon': (1e-7, 1e-2, 2e-2),
    'yelp': (1e-7, 1e-2, 1e-2),
    'movie': (1e-6, 1e-3, 3e-2),
}


def authors_preset(backbone: str, dataset: str, alignment: str) -> Preset:
    r"""What the authors of IRLLRec (`arXiv:2502.03307
    <https://arxiv.org/abs/2502.03307>`_) ship for a backbone and a dataset, with
    their choices: users contrast with all users but items with the batch,
    duplicates in a batch count, and the frozen teacher counts in L2.

    Args:
        backbone (str): :obj:`"lightgcn"`.
        dataset (str): :obj:`"amazon"`, :obj:`"yelp"` or :obj:`"movie"`.
        alignment (str): :obj:`"none"`, :obj:`"profile"` or :obj:`"full"`.

    Returns:
        Keyword arguments by receiver: :obj:`"backbone"`, :obj:`"alignment"`
        (:class:`~pyg_irllrec.nn.IntentAlignmentLoss`), :obj:`"model"`
        (:class:`~pyg_irllrec.nn.IRLLRec`) and :obj:`"training"`.
    """
    check_choice('backbone', backbone, ('lightgcn',))
    check_choice('dataset', dataset, _DATASETS)
    check_choice('alignment', alignment, _ALIGNMENTS)
    l2_weight, profile_weight, intent_weight = _LIGHTGCN[dataset]
    full = alignment == 'full'
    return {
        'backbone': {
            'embedding_dim': 32,
            'num_layers': 3,
            'num_intents': 128 if full else 0,
            'edge_dropout': 0.0 if full else 0.2,
        },
        'alignment': authors_alignment(
            kd_weight=profile_weight,
            kd_temperature=0.2,
            kd_int_weight=intent_weight,
            kd_int_temperature=0.2,
            kd_int_weight_2=1e-7,
            kd_int_weight_3=1e-7,
        ),
        'model': {
            'l2_weight': l2_weight if full else 1e-6,
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


def authors_alignment(
    *,
    kd_weight: float = 0.0,
    kd_temperature: float = 0.2,
    kd_int_weight: float = 0.0,
    kd_int_temperature: float = 0.2,
    kd_int_weight_2: float = 0.0,
    kd_int_weight_3: float = 0.0,
) -> dict[str, Any]:
    r"""Keyword arguments of :class:`~pyg_irllrec.nn.IntentAlignmentLoss` from the
    names of the authors' configuration. Their matching term contains the
    translation term once more,

    .. math::
        w_2 \mathcal{L}_{tr} + w_3 (0.4 \, w_2 \mathcal{L}_{tr} + 0.6 \,
        \mathcal{L}_{ce}) = w_2 (1 + 0.4 \, w_3) \mathcal{L}_{tr} + 0.6 \, w_3
        \mathcal{L}_{ce}

    and is written here as the right-hand side.
    """
    return {
        'profile_weight': kd_weight,
        'intent_weight': kd_int_weight,
        'translation_weight': kd_int_weight_2 * (1 + 0.4 * kd_int_weight_3),
        'matching_weight': 0.6 * kd_int_weight_3,
        'profile_temperature': kd_temperature,
        'intent_temperature': kd_int_temperature,
        'user_negatives': 'all',
        'item_negatives': 'batch',
        'duplicates': True,
        'eps': 1e-8,
    }
