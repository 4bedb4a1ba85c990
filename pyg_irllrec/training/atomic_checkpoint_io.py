from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from pyg_irllrec.utils.files import atomic_write


class AtomicCheckpointIO(TorchCheckpointIO):
    r"""Checkpoints that are on disk whole or not at all, whenever the process dies,
    and that are read without running code."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: Any,
        storage_options: Optional[Any] = None,
    ) -> None:
        r"""Writes beside :obj:`path`, then renames."""
        with atomic_write(Path(path), 'wb') as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self, path: Any, map_location: Any = 'cpu', weights_only: Optional[bool] = True
    ) -> dict[str, Any]:
        r"""Reads tensors and plain types only.

        Raises:
            ValueError: If the file is damaged, holds other types, or is not a
                checkpoint of :class:`~pyg_irllrec.training.LitRecommender`.
        """
        if Path(path).is_dir():
            raise ValueError(
                f'{path} is a folder, not a checkpoint: pass {Path(path) / "best.ckpt"}'
            )
        try:
            checkpoint: dict[str, Any] = torch.load(
                path, map_location=map_location, weights_only=True
            )
        except FileNotFoundError:
            raise FileNotFoundError(f'{path} does not exist') from None
        except Exception as error:
            reason = str(error).partition('\n')[0]
            raise ValueError(
                f'{path} is not a checkpoint, or it is damaged: {reason}'
            ) from None
        parts = {'state_dict', 'history', 'settings'}
        if not isinstance(checkpoint, dict) or not parts <= checkpoint.keys():
            advice = ''
            if isinstance(checkpoint, dict) and all(
                isinstance(value, torch.Tensor) for value in checkpoint.values()
            ):
                advice = ' but a state_dict: model.load_state_dict(torch.load(path))'
            raise ValueError(f'{path} is not a checkpoint of a training run{advice}')
        return checkpoint
