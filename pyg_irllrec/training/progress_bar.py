from __future__ import annotations

import math
from typing import Any, Optional

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm.auto import tqdm

from pyg_irllrec.utils.checks import check_not_negative


class EpochProgressBar(ProgressBar):
    r"""A single progress bar for a whole training run. It counts steps and shows the
    epoch, the loss and the latest validation Recall.

    Args:
        refresh_seconds (float): The minimum time between two refreshes.
            (default: :obj:`0.5`)

    Raises:
        ValueError: If :obj:`refresh_seconds` is negative.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> from pyg_irllrec.training import EpochProgressBar
        >>> trainer = Trainer(callbacks=[EpochProgressBar()], logger=False)
        >>> trainer.progress_bar_callback.refresh_seconds
        0.5
    """

    def __init__(self, refresh_seconds: float = 0.5) -> None:
        super().__init__()
        check_not_negative('refresh_seconds', refresh_seconds)
        self.refresh_seconds = refresh_seconds
        self._bar: Optional[tqdm[Any]] = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        r"""Show the bar, at the step from which a resumed run continues."""
        # There is no total if the number of epochs, or of their batches, is unlimited.
        epochs = trainer.max_epochs or 1
        steps = self.total_train_batches * epochs
        self._bar = tqdm(
            total=int(steps) if epochs > 0 and math.isfinite(steps) else None,
            initial=trainer.global_step,
            desc='training',
            unit='step',
            mininterval=self.refresh_seconds,
            dynamic_ncols=True,
        )

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        r"""Advance the bar by one step."""
        if self._bar is not None and self._bar.update():
            # Reading the loss waits for the device, so read it only to show it.
            metrics = trainer.progress_bar_metrics
            shown = {name: f'{float(value):.4f}' for name, value in metrics.items()}
            self._bar.set_postfix(
                {'epoch': trainer.current_epoch + 1, **shown}, refresh=False
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        r"""Close the bar."""
        self._close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        r"""Close the bar."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
