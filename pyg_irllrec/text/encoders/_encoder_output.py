"""Check the input, output and description of any encoder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pyg_irllrec.utils.argument_checks import check_instance, each_of


def checked_texts(name: str, texts: Iterable[Any]) -> Iterator[str]:
    r"""The texts one by one; raises a :class:`ValueError` at the first value that is no
    text (:obj:`None`, NaN, a number)."""
    return each_of(name, texts, str)


def as_vectors(source: str, value: Any, num_texts: int) -> npt.NDArray[np.float32]:
    r"""Convert the result of :obj:`source` to :obj:`float32` vectors, or raises a
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
    r"""Convert the result of :obj:`source` to a :obj:`float32` matrix, or raises a
    :class:`ValueError` unless it has one row per text."""
    try:
        with np.errstate(over='ignore'):  # Infinity is refused by name.
            vectors = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        # Rows of several widths, or text.
        raise ValueError(f'{source} must return one matrix: {error}') from None
    if vectors.ndim != 2 or len(vectors) != num_texts or vectors.shape[1] == 0:
        raise ValueError(
            f'{source} must return one row per text, {num_texts} rows, got shape '
            f'{vectors.shape}'
        )
    return vectors


def describe_encoder(encoder: object) -> dict[str, Any]:
    r"""The result of :obj:`encoder.describe()`, or a :class:`ValueError` where it has
    no such method."""
    describe = getattr(encoder, 'describe', None)
    if describe is None:
        raise ValueError(
            "'encoder' must have a method describe() that returns a dictionary, got "
            f"{encoder!r}: add the method, or pass 'description'"
        )
    return dict(describe())


def as_json(name: str, value: dict[str, Any]) -> dict[str, Any]:
    r"""The description as JSON represents it, with lists for tuples, or a
    :class:`ValueError` where JSON cannot."""
    check_instance(name, value, dict)
    try:
        return dict(json.loads(json.dumps(value, allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"'{name}' must hold values of JSON, got {value!r}: {error}"
        ) from None
