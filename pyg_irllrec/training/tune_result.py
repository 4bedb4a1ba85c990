from __future__ import annotations

from typing import Any, NamedTuple

from pyg_irllrec.presets import Preset


class TuneResult(NamedTuple):
    r"""The result of a hyper-parameter search, which
    :func:`~pyg_irllrec.training.tune` returns.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.assemble import choose_preset
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import tune
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> result = tune(
        ...     lambda preset: build_model(data, preset=preset),
        ...     {'fit.lr': (1e-3, 1e-2, 'log')},
        ...     data,
        ...     'search',
        ...     preset=choose_preset(data),
        ...     trials=1,
        ...     epochs=1,
        ...     progress=False,
        ... )
        >>> result.trials[0]['state'], result.value == result.trials[0]['value']
        ('complete', True)
    """

    preset: Preset
    """The preset with the best hyper-parameters, also written to :obj:`preset.json`."""
    params: dict[str, Any]
    """The best hyper-parameters of the space."""
    value: float
    """The validation Recall plus NDCG of the best trial."""
    trials: list[dict[str, Any]]
    """A row per trial, with its :obj:`params`, its :obj:`state` (:obj:`"complete"`,
    :obj:`"pruned"` or :obj:`"failed"`), its :obj:`value`, its time in :obj:`seconds`,
    and its :obj:`history`, pairs of an epoch and a value."""
