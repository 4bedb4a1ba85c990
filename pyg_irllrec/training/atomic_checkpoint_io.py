from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Optional

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from pyg_irllrec.training._check_checkpoint import check_parts
from pyg_irllrec.training._torch_archive import check_torch_archive
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.printable import printable

_MAX_EXPANDED_BYTES = 1 << 28
_PLAIN = (bool, int, float, str, type(None))


class AtomicCheckpointIO(TorchCheckpointIO):
    r"""Write checkpoints atomically: a process that dies leaves the whole file or none.
    Reading one runs no code. :func:`~pyg_irllrec.training.fit` always uses it.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> from pyg_irllrec.training import AtomicCheckpointIO
        >>> trainer = Trainer(plugins=[AtomicCheckpointIO()], logger=False)
        >>> type(trainer.strategy.checkpoint_io).__name__
        'AtomicCheckpointIO'
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: Any,
        storage_options: Optional[Any] = None,
    ) -> None:
        r"""Write to a file beside :obj:`path`, and then rename it.

        Raises:
            ValueError: If a callback has a state that could not be read back.
        """
        for name, state in checkpoint.get('callbacks', {}).items():
            _check_plain(state, str(name))
        with atomic_write(Path(path), 'wb') as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self, path: Any, map_location: Any = 'cpu', weights_only: Optional[bool] = True
    ) -> dict[str, Any]:
        r"""Verify all checksums, and then read tensors and plain types only.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is damaged, has other types or weights that are not
                finite, or is not a checkpoint of
                :class:`~pyg_irllrec.training.LitRecommender`.
        """
        shown = printable(path)
        if Path(path).is_dir():
            raise ValueError(
                f'{shown} is a folder, not a checkpoint: pass {shown}/best.ckpt'
            )
        if not Path(path).exists():
            raise FileNotFoundError(f'{shown} does not exist')
        try:
            check_torch_archive(Path(path))
            checkpoint: dict[str, Any] = torch.load(
                path, map_location=map_location, weights_only=True
            )
        except OSError:
            raise
        except Exception as error:
            raise ValueError(
                f'{shown} is not a checkpoint, or it is damaged: {_reason(error)}'
            ) from None
        check_parts(checkpoint, shown)
        _check_weights(checkpoint['state_dict'], shown)
        return checkpoint


def _check_plain(value: object, name: str) -> None:
    r"""Raise a :class:`ValueError` unless a state has only types that are read back
    without running code. If reading raised it, the run could not be resumed."""
    if isinstance(value, dict):
        _check_plain([*value.keys(), *value.values()], name)
    elif isinstance(value, (list, tuple)):
        for each in value:
            _check_plain(each, name)
    elif not isinstance(value, Tensor) and type(value) not in _PLAIN:
        raise ValueError(
            f'the state of the callback {name!r} must hold tensors and plain values, '
            f'got a {type(value).__name__}: convert it in its state_dict()'
        )


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError):
        return str(error)
    # The message of torch suggests to read the file in a way that runs code.
    found = re.search(r'GLOBAL (\S+)', str(error))
    if found is not None:
        name = printable(found[1])[:80]
        return f'it must hold tensors and plain values, got {name}'
    return 'its content must be tensors and plain values that torch.save has written'


def _is_stored(value: torch.Tensor) -> bool:
    r"""Whether the file has about as many numbers as a tensor. An expanded tensor can
    claim any size with few of them."""
    size = value.numel() * value.element_size()
    return size <= max(value.untyped_storage().nbytes(), _MAX_EXPANDED_BYTES)


def _check_weights(state: dict[Any, Any], path: str) -> None:
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise ValueError(
                f'{path} must hold tensors by name, got a {type(value).__name__} '
                f'under {name!r}'
            )
        if value.layout != torch.strided or not _is_stored(value):
            raise ValueError(f'{path} must hold dense tensors, got others in {name!r}')
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise ValueError(
                f'{path} must hold finite weights, got NaN or infinity in {name!r}: '
                'the training diverged, or the file is damaged'
            )
