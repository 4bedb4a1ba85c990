from __future__ import annotations

from typing import Union

from pyg_irllrec.presets import ALIGNMENT_TEXTS, ALIGNMENTS, BACKBONES, get_preset
from pyg_irllrec.utils.checks import check_choice

Choices = Union[
    tuple[float, float],
    tuple[float, float, str],
    list[Union[float, str, bool, None]],
]
"""What an argument may be: from a low to a high number, on a logarithmic scale with
:obj:`"log"`, or one of a list."""

Space = dict[str, Choices]

GRAPH_SPACE: Space = {
    'fit.lr': (5e-4, 1e-2, 'log'),
    'model.l2_weight': (1e-8, 1e-4, 'log'),
    'backbone.num_layers': (1, 3),
    'data.batch_size': [1024, 4096],
}
"""Of every backbone."""

SOFTMAX_SPACE: Space = {'ranking.temperature': (0.05, 0.3, 'log')}
"""Of the softmax as ranking loss."""

CONTRAST_SPACE: Space = {'backbone.contrast_weight': (1e-3, 0.5, 'log')}
"""Of backbones with a contrastive loss."""

PROFILE_SPACE: Space = {
    'loss.profile_weight': (1e-3, 1.0, 'log'),
    'loss.profile_temperature': (0.1, 1.0, 'log'),
}
"""Of every alignment with profiles."""

INTENT_SPACE: Space = {'loss.intent_weight': (1e-4, 1.0, 'log')}
"""Of every alignment with intents."""

FULL_SPACE: Space = {
    'loss.translation_weight': (1e-5, 1e-1, 'log'),
    'loss.matching_weight': (1e-5, 1e-1, 'log'),
}
"""Of the alignment of IRLLRec."""

RECONSTRUCTION_SPACE: Space = {
    'model.weight': (1e-3, 1.0, 'log'),
    'model.temperature': (0.1, 1.0, 'log'),
}
"""Of the reconstruction of masked texts."""


def default_space(backbone: str = 'lightgcn', alignment: str = 'auto') -> Space:
    r"""What is worth tuning of a backbone and an alignment, with ranges that hold the
    presets: a space for :func:`~pyg_irllrec.training.tune`. Of :obj:`"auto"`, the size
    of batches follows from that of the data and is left alone.

    Args:
        backbone (str): A key of :obj:`~pyg_irllrec.presets.BACKBONES`.
            (default: :obj:`"lightgcn"`)
        alignment (str): One of :obj:`~pyg_irllrec.presets.ALIGNMENTS`.
            (default: :obj:`"auto"`)

    Raises:
        ValueError: If a name is unknown.
    """
    check_choice('backbone', backbone, tuple(BACKBONES))
    check_choice('alignment', alignment, ALIGNMENTS)
    space = dict(GRAPH_SPACE)
    if alignment == 'auto':
        del space['data.batch_size']
        return space | SOFTMAX_SPACE
    if 'contrast_weight' in get_preset(backbone, 'own', alignment)['backbone']:
        space |= CONTRAST_SPACE
    if alignment == 'reconstruction':
        return space | RECONSTRUCTION_SPACE
    texts = ALIGNMENT_TEXTS[alignment]
    if 'profile' in texts:
        space |= PROFILE_SPACE
    if 'intent' in texts:
        space |= INTENT_SPACE
    if alignment == 'full':
        space |= FULL_SPACE
    return space
