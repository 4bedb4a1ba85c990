from __future__ import annotations

from typing import Union

from pyg_irllrec.presets import ALIGNMENT_TEXTS, ALIGNMENTS, BACKBONES, get_preset
from pyg_irllrec.utils.checks import check_choice

Choices = Union[
    tuple[float, float],
    tuple[float, float, str],
    list[Union[float, str, bool, None]],
]
"""The values that an argument may have. They are a range from a low to a high number,
on a logarithmic scale if it ends with :obj:`"log"`, or a list."""

Space = dict[str, Choices]

GRAPH_SPACE: Space = {
    'fit.lr': (5e-4, 1e-2, 'log'),
    'model.l2_weight': (1e-8, 1e-4, 'log'),
    'backbone.num_layers': (1, 3),
    'data.batch_size': [1024, 4096],
}
"""The space of every backbone."""

SOFTMAX_SPACE: Space = {'ranking.temperature': (0.05, 0.3, 'log')}
"""The space of :class:`~pyg_irllrec.nn.SoftmaxLoss`."""

CONTRAST_SPACE: Space = {'backbone.contrast_weight': (1e-3, 0.5, 'log')}
"""The space of backbones with a contrastive loss."""

PROFILE_SPACE: Space = {
    'loss.profile_weight': (1e-3, 1.0, 'log'),
    'loss.profile_temperature': (0.1, 1.0, 'log'),
}
"""The space of alignments with profiles."""

INTENT_SPACE: Space = {'loss.intent_weight': (1e-4, 1.0, 'log')}
"""The space of alignments with intents."""

FULL_SPACE: Space = {
    'loss.translation_weight': (1e-5, 1e-1, 'log'),
    'loss.matching_weight': (1e-5, 1e-1, 'log'),
}
"""The space of the alignment of IRLLRec."""

RECONSTRUCTION_SPACE: Space = {
    'model.weight': (1e-3, 1.0, 'log'),
    'model.temperature': (0.1, 1.0, 'log'),
}
"""The space of the reconstruction of masked texts."""


def default_space(backbone: str = 'lightgcn', alignment: str = 'auto') -> Space:
    r"""Return the hyper-parameters of a backbone and an alignment that are worth
    tuning, as a space for :func:`~pyg_irllrec.training.tune`. The ranges include the
    values of the presets. The space of :obj:`"auto"` has no batch size, because the
    preset derives it from the size of the data.

    Args:
        backbone (str): A key of :obj:`~pyg_irllrec.presets.BACKBONES`.
            (default: :obj:`"lightgcn"`)
        alignment (str): One of :obj:`~pyg_irllrec.presets.ALIGNMENTS`.
            (default: :obj:`"auto"`)

    Raises:
        ValueError: If a name is unknown.

    Example:
        >>> from pyg_irllrec.training import default_space
        >>> space = default_space('lightgcn', 'auto')
        >>> space['fit.lr'], space['backbone.num_layers']
        ((0.0005, 0.01, 'log'), (1, 3))
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
