"""One clear sentence for arguments of the wrong type."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np


def as_path(name: str, value: object) -> Path:
    r"""A path, or a :class:`ValueError` where it is none."""
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(
            f"'{name}' must be a path, a str or pathlib.Path, got "
            f'{type(value).__name__}'
        )
    try:
        bad = b'\0' in os.fsencode(value)
    except UnicodeEncodeError:
        bad = True
    if bad:
        raise ValueError(f"'{name}' must be a path, got {str(value)!r}")
    return Path(value)


def check_instance(name: str, value: object, cls: type[Any], advice: str = '') -> None:
    r"""Raises a :class:`ValueError` unless :obj:`value` is a :obj:`cls`."""
    if not isinstance(value, cls):
        article = 'an' if cls.__name__[0] in 'AEIO' else 'a'
        raise ValueError(
            f"'{name}' must be {article} {cls.__name__}, got {type(value).__name__}"
            f'{advice and ": "}{advice}'
        )


def check_flag(name: str, value: object) -> None:
    r"""Raises a :class:`ValueError` unless :obj:`value` is a bool: as one, text such as
    :obj:`"no"` would be true."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"'{name}' must be True or False, got {value!r}")


def check_name(name: str, value: object) -> None:
    r"""Raises a :class:`ValueError` unless :obj:`value` is a name, a :obj:`str`."""
    if not isinstance(value, str):
        raise ValueError(f"'{name}' must be a name, a str, got {value!r}")
