from __future__ import annotations

from typing import Any, NamedTuple


class FitResult(NamedTuple):
    r"""What a training run ends with."""

    test: dict[str, float]
    """Test metrics of the best checkpoint; empty without test interactions."""
    best_epoch: int
    """The epoch of the best validation Recall, from 1; without validation the last."""
    history: list[dict[str, float]]
    """A row per validation, with the epoch, the mean of each loss term and the
    metrics. Without validation the rows hold no metrics."""
    seconds_per_step: float
    """The median time of a training step of this process; where it was resumed and had
    none left to do, the recorded one."""
    peak_memory_mb: float
    """The peak memory of the process on a CPU (0 on Windows), or of its tensors on a
    GPU."""
    fingerprint: dict[str, Any]
    """What the run was made from, see :func:`~pyg_irllrec.training.fingerprint`."""
