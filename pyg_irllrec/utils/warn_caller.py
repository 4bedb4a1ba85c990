from __future__ import annotations

import sys
import warnings

_LIBRARIES = ('pyg_irllrec', 'torch', 'torch_geometric', 'lightning')


def warn_caller(message: str) -> None:
    r"""Warn at the line of the user's code that called this package, skipping the
    frames of this package and of its libraries."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_library(frame.f_globals.get('__name__', '')):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def _is_library(module: str) -> bool:
    return module.partition('.')[0] in _LIBRARIES
