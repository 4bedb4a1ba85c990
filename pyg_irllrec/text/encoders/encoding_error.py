from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

import numpy as np
import numpy.typing as npt

from pyg_irllrec.text._to_single_line import to_single_line

_MOST_SHOWN = 5


class EncodingError(ValueError):
    r"""Some texts cannot be encoded. The message names their rows and first words.

    Args:
        texts (sequence of str): All texts.
        reasons (dict): The reason of each failure, by row.
        vectors (numpy.ndarray, optional): The vectors of all texts, with NaN in the
            rows that failed. (default: :obj:`None`, no vectors)
        note (str): A note about the other texts, for the message.
            (default: :obj:`""`)

    Example:
        >>> import numpy as np
        >>> from pyg_irllrec.text import EncodingError
        >>> vectors = np.array([[0.6, 0.8], [np.nan, np.nan]], np.float32)
        >>> error = EncodingError(['short', 'long'], {1: 'too many tokens'}, vectors)
        >>> error.reasons, error.vectors.shape
        ({1: 'too many tokens'}, (2, 2))
    """

    def __init__(
        self,
        texts: Sequence[str],
        reasons: Mapping[int, str],
        vectors: Optional[npt.NDArray[np.float32]] = None,
        note: str = '',
    ) -> None:
        rows = sorted(reasons)
        shown = [_describe(row, texts[row], reasons[row]) for row in rows[:_MOST_SHOWN]]
        if len(rows) > _MOST_SHOWN:
            shown.append(f'and {len(rows) - _MOST_SHOWN} more')
        super().__init__(
            f'{len(rows)} of {len(texts)} texts cannot be encoded: change or shorten '
            f'them{note}: {"; ".join(shown)}'
        )
        self.reasons = dict(reasons)
        self.vectors = vectors


def _describe(row: int, text: str, reason: str) -> str:
    words = to_single_line(text[:200])[:60]
    reason = to_single_line(reason[:1000])[:300]
    return f'row {row}, {words!r} ({len(text)} characters): {reason}'
