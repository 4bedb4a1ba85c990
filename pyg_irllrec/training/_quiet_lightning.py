from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_lightning() -> Iterator[None]:
    r"""Suppress Lightning's tips, warnings and device report."""
    loggers = [logging.getLogger(f'lightning.{part}') for part in ('pytorch', 'fabric')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', module='lightning')
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
