r"""Callbacks that follow the history of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from pyg_irllrec.training._result_files import write_history


class HistoryCallback(Callback):
    r"""Call :meth:`on_history` once :obj:`last.ckpt` contains new rows of
    :obj:`LitRecommender.history`."""

    _num_rows = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._num_rows = len(_history(pl_module))

    def on_train_epoch_start(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> None:
        self._follow(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._follow(trainer, pl_module)

    def _follow(self, trainer: Trainer, pl_module: LightningModule) -> None:
        history = _history(pl_module)
        if trainer.is_global_zero and len(history) > self._num_rows:
            self.on_history(history)
            self._num_rows = len(history)

    def on_history(self, history: list[dict[str, float]]) -> None:
        r"""Handle all rows, of which at least the last is new."""


class HistoryFile(HistoryCallback):
    r"""Write :obj:`history.csv` after every validation."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def on_history(self, history: list[dict[str, float]]) -> None:
        write_history(history, self.out)


def _history(module: Any) -> list[dict[str, float]]:
    history: list[dict[str, float]] = module.history
    return history
