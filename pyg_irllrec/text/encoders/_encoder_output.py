"""What every encoder is held to, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

TextEncoder = Callable[[Sequence[str]], npt.NDArray[Any]]


def checked_texts(name: str, texts: Iterable[Any]) -> Iterator[str]:
    r"""The texts one by one; raises a :class:`ValueError` that names the first row
    that holds no text (:obj:`None`, NaN, a number)."""
    if isinstance(texts, str):
        raise ValueError(f"'{name}' must be a list of texts, got a single text")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"'{name}' must hold texts, got {text!r} in row {row}")
        yield text


def as_vectors(source: str, value: Any, num_texts: int) -> npt.NDArray[np.float32]:
    r"""What :obj:`source` gave as :obj:`float32` vectors, a finite row a text; raises a
    :class:`ValueError` otherwise."""
    try:
        vectors = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError) as error:  # Rows of several widths, or no numbers.
        raise ValueError(f'{source} must return one matrix: {error}') from None
    if vectors.ndim != 2 or len(vectors) != num_texts or vectors.shape[1] == 0:
        raise ValueError(
            f'{source} must return a row a text, {num_texts} rows, got shape '
            f'{vectors.shape}'
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size > 0:
        raise ValueError(
            f'{source} must return finite numbers, got NaN or infinity in {bad.size} '
            f'of {num_texts} rows (first: row {bad[0]})'
        )
    return vectors


def describe_encoder(encoder: object) -> dict[str, Any]:
    r"""What the encoder says of itself; raises a :class:`ValueError` where it says
    nothing."""
    describe = getattr(encoder, 'describe', None)
    if describe is None:
        raise ValueError(
            "'encoder' must have a method describe() that returns a dictionary, or "
            f"'description' must be given, got {encoder!r} alone"
        )
    return dict(describe())


def as_json(name: str, value: dict[str, Any]) -> dict[str, Any]:
    r"""What becomes of a description in a file, where tuples turn into lists; raises
    a :class:`ValueError` where it cannot be written."""
    try:
        return dict(json.loads(json.dumps(value)))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"'{name}' must hold what JSON can: {error}, got {value!r}"
        ) from None
