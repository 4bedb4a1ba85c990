from __future__ import annotations

from pathlib import Path
from typing import Union

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from pyg_irllrec.training.run_folder import LOGS


def check_logger(logger: object) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`logger` is a logger, its name or
    :obj:`None`."""
    is_name = isinstance(logger, str) and logger in LOGS
    if logger is not None and not is_name and not isinstance(logger, Logger):
        got = repr(logger) if isinstance(logger, str) else type(logger).__name__
        raise ValueError(
            f"'logger' must be None, {', '.join(map(repr, LOGS))} or a Logger of "
            f'lightning.pytorch, got {got}'
        )


def make_logger(logger: Union[str, Logger, None], out: Path) -> Union[Logger, None]:
    r"""Return the logger of a name, which writes to the folder of the run.

    Raises:
        ImportError: If TensorBoard is not installed.
    """
    if logger == 'csv':
        # A resumed run writes a new version: CSVLogger never appends to a file.
        return CSVLogger(out, name='csv')
    if logger == 'tensorboard':
        try:
            return TensorBoardLogger(out, name='tensorboard', version='')
        except ModuleNotFoundError as error:
            raise ImportError(
                "logger='tensorboard' needs TensorBoard: pip install tensorboard"
            ) from error
    assert not isinstance(logger, str)
    return logger
