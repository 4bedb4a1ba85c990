"""Check the input, the output and the description of encoders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pyg_irllrec.utils.argument_checks import check_instance, each_of


def checked_texts(name: str, texts: Iterable[Any]) -> Iterator[str]:
    r"""Yield the texts. Raise a :class:`ValueError` at the first value that is not a
    string (:obj:`None`, NaN, a number)."""
    return each_of(name, texts, str)


def as_vectors(source: str, value: Any, num_texts: int) -> npt.NDArray[np.float32]:
    r"""Convert the result of an encoder to :obj:`float32` vectors. Raise a
    :class:`ValueError` unless it has one finite row per text."""
    vectors = as_matrix(source, value, num_texts)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size > 0:
        raise ValueError(
            f'{source} must return finite numbers, got NaN or infinity in {bad.size} '
            f'of {num_texts} rows (first: row {bad[0]})'
        )
    return vectors


def as_matrix(source: str, value: Any, num_texts: int) -> npt.NDArray[np.float32]:
    r"""Convert the result of an encoder to a :obj:`float32` matrix. Raise a
    :class:`ValueError` unless it has one row per text."""
    try:
        with np.errstate(over='ignore'):  # Infinite values get an error of their own.
            vectors = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        # For example, rows of different widths, or strings.
        raise ValueError(f'{source} must return one matrix: {error}') from None
    if vectors.ndim != 2 or len(vectors) != num_texts or vectors.shape[1] == 0:
        raise ValueError(
            f'{source} must return one row per text, {num_texts} rows, got shape '
            f'{vectors.shape}'
        )
    return vectors


def describe_encoder(encoder: object) -> dict[str, Any]:
    r"""Return :obj:`encoder.describe()`. Raise a :class:`ValueError` if there is no
    such method."""
    describe = getattr(encoder, 'describe', None)
    if describe is None:
        raise ValueError(
            "'encoder' must have a method describe() that returns a dictionary, got "
            f"{encoder!r}: add the method, or pass 'description'"
        )
    return dict(describe())


def as_json(name: str, value: dict[str, Any]) -> dict[str, Any]:
    r"""Convert a description to what JSON restores, such as lists for tuples. Raise a
    :class:`ValueError` if JSON cannot represent it."""
    check_instance(name, value, dict)
    try:
        return dict(json.loads(json.dumps(value, allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"'{name}' must hold JSON values, got {value!r}: {error}"
        ) from None
