from __future__ import annotations

import math
from typing import Any, Optional

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm.auto import tqdm

from pyg_irllrec.utils.checks import check_not_negative


class EpochProgressBar(ProgressBar):
    r"""One bar for a whole training run: a step at a time, with the epoch, the loss
    and the latest validation Recall beside it.

    Args:
        refresh_seconds (float): The least time between two prints.
            (default: :obj:`0.5`)

    Raises:
        ValueError: If it is below zero.
    """

    def __init__(self, refresh_seconds: float = 0.5) -> None:
        super().__init__()
        check_not_negative('refresh_seconds', refresh_seconds)
        self.refresh_seconds = refresh_seconds
        self._bar: Optional[tqdm[Any]] = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        r"""Show the bar, as far as a resumed run has come."""
        # Without an end where the epochs, or the batches of one, have none.
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
        r"""One step further."""
        if self._bar is not None and self._bar.update():
            # Reads the loss, hence waits for the device: only when it is shown.
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
