from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from pyg_irllrec.text.encoders._encoder_output import as_matrix
from pyg_irllrec.text.encoders.encoding_error import EncodingError

_SURROGATE = re.compile('[\ud800-\udfff]')


def encode_rows(
    source: str,
    encode: Callable[[list[str]], Any],
    texts: Sequence[str],
    refusals: tuple[type[Exception], ...],
) -> npt.NDArray[np.float32]:
    r"""Encode a batch in one call. If the encoder refuses it, find the refused texts by
    bisection. No accepted text is encoded twice.

    Args:
        source (str): The name of the encoder, for errors.
        encode (callable): Turns a list of texts into a matrix.
        texts (sequence of str): The batch.
        refusals (tuple): The errors of :obj:`encode` that a single text may cause. If
            short and long texts are refused alike, the error is raised again.

    Raises:
        EncodingError: If some texts are refused, or their vectors are not finite. It
            contains the vectors of the other texts.
        ValueError: If :obj:`encode` does not return one row per text.
    """
    found: dict[int, npt.NDArray[np.float32]] = {}
    reasons: dict[int, str] = {}

    def run(rows: list[int]) -> Optional[Exception]:
        try:
            value = encode([texts[row] for row in rows])
        except EncodingError:
            raise
        except refusals as error:
            if len(rows) == 1:
                reasons[rows[0]] = str(error)
            return error
        found.update(zip(rows, as_matrix(source, value, len(rows))))
        return None

    refused = run(list(range(len(texts))))
    if refused is not None and len(texts) > 1:
        by_length = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        probes = [by_length[(len(texts) - 1) // 2], by_length[0], by_length[-1]]
        # If none of them is accepted, the cause is probably the settings.
        if all(run([row]) is not None for row in dict.fromkeys(probes)):
            raise refused
        rest = [row for row in range(len(texts)) if row not in found | reasons]
        pending = _halve(rest)
        while pending:
            rows = pending.pop()
            if run(rows) is not None and len(rows) > 1:
                pending += _halve(rows)
    return join_rows(source, texts, found, reasons)


def join_rows(
    source: str,
    texts: Sequence[str],
    found: dict[int, npt.NDArray[np.float32]],
    reasons: dict[int, str],
) -> npt.NDArray[np.float32]:
    r"""Join rows to a matrix. Raise an :class:`EncodingError` if rows are missing or
    not finite."""
    widths = sorted({row.size for row in found.values()})
    if len(widths) > 1:
        raise ValueError(
            f'{source} must return vectors of one width, got '
            f'{" and ".join(map(str, widths))}'
        )
    if not found:
        raise EncodingError(texts, reasons)
    vectors = np.full((len(texts), widths[0]), np.nan, np.float32)
    for row, vector in found.items():
        vectors[row] = vector
    for row in np.flatnonzero(~np.isfinite(vectors).all(axis=1)).tolist():
        reason = f'{source} must return finite numbers, got NaN or infinity'
        reasons.setdefault(row, reason)
        vectors[row] = np.nan
    if reasons:
        raise EncodingError(texts, reasons, vectors)
    return vectors


def find_surrogates(texts: Sequence[str]) -> dict[int, str]:
    r"""Find texts with a lone surrogate, which no server or tokenizer accepts. Return
    the reason by row."""
    reason = 'the text contains a lone surrogate (half of a character)'
    return {row: reason for row, text in enumerate(texts) if _SURROGATE.search(text)}


def _halve(rows: list[int]) -> list[list[int]]:
    middle = len(rows) // 2
    return [half for half in (rows[:middle], rows[middle:]) if half]
