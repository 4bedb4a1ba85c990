from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, Optional, Union, overload

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pyg_irllrec.typing import IntArray
from pyg_irllrec.utils.optional import import_optional

_AT_ONCE = 4096  # The number of texts that are converted to Python strings at once.


class TextArray:
    r"""An array of texts, one per node, that can stay in a memory-mapped file. Rows are
    read on access, and :meth:`TextArray.take` selects rows without copying texts.

    It is deliberately not a :class:`collections.abc.Sequence`: PyG would copy it text
    by text when data moves between devices.

    Args:
        values (sequence of str, pyarrow.Array or pyarrow.ChunkedArray): The texts. A
            null is read as :obj:`""`.

    Raises:
        ImportError: If pyarrow is not installed.
        ValueError: If :obj:`values` are not texts.

    Example:
        >>> from pyg_irllrec.utils import TextArray
        >>> texts = TextArray(['A space opera', None, 'A heist film'])
        >>> texts.take([2, 0])[0]
        'A heist film'
        >>> texts[1], len(texts)
        ('', 3)
    """

    def __init__(self, values: Any) -> None:
        pa = import_optional('pyarrow', type(self).__name__, 'data')
        if isinstance(values, str):
            raise ValueError("'values' must be a list of texts, got a single text")
        if isinstance(values, pa.ChunkedArray):
            one = values.num_chunks == 1  # combine_chunks() would copy it.
            values = values.chunk(0) if one else values.combine_chunks()
        if not isinstance(values, pa.Array):
            try:
                values = pa.array(values, pa.large_string())
            except (pa.ArrowException, TypeError) as error:
                raise ValueError(f"'values' must hold texts: {error}") from None
        if values.type not in (pa.string(), pa.large_string()):
            raise ValueError(f"'values' must hold texts, got {values.type}")
        self._values = values
        self._index: Optional[IntArray] = None

    def take(self, index: Union[Tensor, Sequence[int], npt.ArrayLike]) -> TextArray:
        r"""Select the rows of :obj:`index`, in its order, without copying texts.

        Args:
            index (torch.Tensor or numpy.ndarray): Zero-based row numbers of shape
                :math:`(M)`.

        Raises:
            ValueError: If :obj:`index` is not a vector of integers, or a row is out of
                range.
        """
        rows = np.asarray(index.cpu() if isinstance(index, Tensor) else index)
        if rows.size == 0:
            rows = rows.astype(np.int64)
        if rows.ndim != 1 or rows.dtype.kind not in 'iu':
            raise ValueError(
                f"'index' must be a vector of integers, got {rows.dtype} of shape "
                f'{rows.shape}'
            )
        if rows.size > 0 and not 0 <= rows.min() <= rows.max() < len(self):
            raise ValueError(
                f"'index' must hold rows from 0 to {len(self) - 1}, got rows from "
                f'{rows.min()} to {rows.max()}'
            )
        out = TextArray(self._values)
        rows = rows.astype(np.int64)
        out._index = rows if self._index is None else self._index[rows]
        return out

    def __len__(self) -> int:
        return len(self._values) if self._index is None else len(self._index)

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: Union[slice, Tensor, Sequence[int]]) -> TextArray: ...

    def __getitem__(self, row: Any) -> Union[str, TextArray]:
        if isinstance(row, slice):
            return self.take(np.arange(len(self))[row])
        if isinstance(row, (list, np.ndarray, Tensor)) and np.ndim(row) > 0:
            return self.take(row)
        row = operator.index(row)
        if not -len(self) <= row < len(self):
            raise IndexError(f'row {row} is out of range for {len(self)} texts')
        row = row % len(self)
        place = row if self._index is None else int(self._index[row])
        text: str = self._values[place].as_py() or ''
        return text

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _AT_ONCE):
            for text in self._slice(start, start + _AT_ONCE).to_pylist():
                yield text or ''

    def _slice(self, start: int, stop: int) -> Any:
        if self._index is None:
            return self._values.slice(start, stop - start)
        return self._values.take(self._index[start:stop])

    def __copy__(self) -> TextArray:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> TextArray:
        return self  # It is immutable.

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickle only the selected rows, not the whole file.
        return TextArray, (self._slice(0, len(self)),)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({len(self)})'
