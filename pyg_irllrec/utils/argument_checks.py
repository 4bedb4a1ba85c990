r"""Checks of the types of arguments, each with one clear error message."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import numpy as np

T = TypeVar('T')


def as_path(name: str, value: object) -> Path:
    r"""Convert :obj:`value` to a path, or raise a :class:`ValueError`."""
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(
            f"'{name}' must be a path (str or pathlib.Path), got {type(value).__name__}"
        )
    try:
        bad = b'\0' in os.fsencode(value)
    except UnicodeEncodeError:
        bad = True
    if bad or value == '':  # pathlib would read '' as the current folder.
        raise ValueError(f"'{name}' must be a path, got {str(value)!r}")
    return Path(value)


def check_instance(name: str, value: object, cls: type[Any], advice: str = '') -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is a :obj:`cls`."""
    if not isinstance(value, cls):
        article = 'an' if cls.__name__[0] in 'AEIO' else 'a'
        raise ValueError(
            f"'{name}' must be {article} {cls.__name__}, got {type(value).__name__}"
            f'{advice and ": "}{advice}'
        )


def check_flag(name: str, value: object) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is a bool: a text such as
    :obj:`"no"` would count as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"'{name}' must be True or False, got {value!r}")


def check_name(name: str, value: object) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is a name: a :obj:`str` that is
    not empty and has no unpaired surrogates."""
    whole = isinstance(value, str) and value.encode(errors='ignore').decode() == value
    if not whole or not value:
        raise ValueError(f"'{name}' must be a name (a non-empty str), got {value!r}")


def check_encoder(value: object) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is callable."""
    if not callable(value):
        raise ValueError(
            "'encoder' must be callable with a list of texts, got "
            f'{type(value).__name__}'
        )


def check_transform(value: object) -> None:
    r"""Raise a :class:`ValueError` unless :obj:`value` is :obj:`None` or callable."""
    if value is not None and not callable(value):
        raise ValueError(
            "'transform' must be callable with a HeteroData, or None, got "
            f'{type(value).__name__}'
        )


def is_iterable(value: object) -> TypeGuard[Iterable[Any]]:
    r"""Whether :obj:`value` is an iterable of values: not a single text, a mapping or a
    scalar."""
    is_one = isinstance(value, (str, bytes, Mapping)) or getattr(value, 'ndim', 1) == 0
    return isinstance(value, Iterable) and not is_one


def each_of(name: str, values: Iterable[Any], cls: type[T]) -> Iterator[T]:
    r"""Yield the values. Raise a :class:`ValueError` at the first that is not a
    :obj:`cls`, or if :obj:`values` is not an iterable."""
    kind = 'texts' if cls is str else f'{cls.__name__} objects'
    if not is_iterable(values):
        got = 'a single text' if isinstance(values, str) else type(values).__name__
        raise ValueError(f"'{name}' must be a list of {kind}, got {got}")
    for row, value in enumerate(values):
        if not isinstance(value, cls):
            raise ValueError(f"'{name}' must hold {kind}, got {value!r} in row {row}")
        yield value


def as_names(name: str, value: object) -> tuple[str, ...]:
    r"""Convert one or more names to a tuple, or raise a :class:`ValueError`."""
    if not isinstance(value, str) and not is_iterable(value):
        raise ValueError(f"'{name}' must be a name or a list of names, got {value!r}")
    names = (value,) if isinstance(value, str) else tuple(value)
    for each in names:
        check_name(name, each)
    return names
