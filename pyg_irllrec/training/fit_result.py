from __future__ import annotations

from typing import Any, NamedTuple, Optional


class FitResult(NamedTuple):
    r"""The result of a training run, which :func:`~pyg_irllrec.training.fit` returns.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import InteractionDataModule, fit
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> module = InteractionDataModule(data)
        >>> result = fit(build_model(data), module, 'run', epochs=1, progress=False)
        >>> result.best_epoch, len(result.history)
        (1, 1)
    """

    test: dict[str, float]
    """The test metrics of the best checkpoint. Empty without test interactions."""
    best_epoch: int
    """The epoch of the best validation Recall, counted from 1. Without validation, the
    last epoch."""
    history: list[dict[str, float]]
    """A row per validation, with the epoch, the mean of each loss term and the metrics.
    Without validation, the rows have no metrics."""
    seconds_per_step: Optional[float]
    """The median time of a training step in this process. If a resumed run had no step
    left to train, the value that the earlier process recorded, or :obj:`None` without
    a record."""
    peak_memory_mb: float
    """The peak memory of the process on a CPU (0 on Windows), or of its tensors on a
    GPU, in MiB."""
    fingerprint: dict[str, Any]
    """The fingerprint of the model and the data, see
    :func:`~pyg_irllrec.training.fingerprint`."""
