from __future__ import annotations

from typing import Any, NamedTuple

from pyg_irllrec.presets import Preset


class TuneResult(NamedTuple):
    r"""What a search over hyper-parameters ends with."""

    preset: Preset
    """The best hyper-parameters, which are those of :obj:`preset.json`."""
    params: dict[str, Any]
    """What was chosen from the space."""
    value: float
    """Recall plus NDCG of the best trial on validation."""
    trials: list[dict[str, Any]]
    """Every trial, with its :obj:`params`, its :obj:`state` (:obj:`"complete"`,
    :obj:`"pruned"` or :obj:`"failed"`), its :obj:`value`, and the :obj:`history` of
    epochs and values."""
