from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Optional

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.disk_arrays import DiskArrays
from pyg_irllrec.datasets._ingest.ids import clean_ids, parse_integers

_MIN_PENDING = 1 << 20
_MOST_PENDING_ROWS = 1 << 24


class EncodedIds(NamedTuple):
    r"""The distinct ids, and the nodes of all rows."""

    ids: Any
    """The distinct ids, sorted: an Arrow array of int64 or large_string."""
    codes: DiskArrays
    """The code of each row's id, batch by batch."""
    node_of_code: npt.NDArray[np.int32]

    def nodes(self, batch: int) -> npt.NDArray[np.int32]:
        r"""The nodes of the rows of a batch: the positions of their ids in
        :obj:`ids`."""
        nodes: npt.NDArray[np.int32] = self.node_of_code[self.codes[batch]]
        return nodes


class IdEncoder:
    r"""A mapping of a stream of ids to nodes. Memory holds the distinct ids, and the
    disk four bytes per row. The node of an id depends only on the set of ids. Strings
    are cleaned and checked at the end, once each.

    Args:
        folder (Path, optional): The folder of temporary files. (default: :obj:`None`)
    """

    def __init__(self, folder: Optional[Path] = None) -> None:
        self._distinct: Any = None
        self._codes = DiskArrays(folder)
        self._cells: list[CellLocation] = []
        self._pending: list[Any] = []
        self._num_pending = 0
        self._num_rows = 0

    def add(self, ids: Any, cell: CellLocation) -> None:
        r"""Add the ids of the next rows, which are at :obj:`cell`."""
        if self._distinct is None:
            self._distinct = ids[:0]
        batch = ids.dictionary_encode()
        if ids.type != self._distinct.type:  # 7 and '7' are one id.
            self._distinct = self._distinct.cast(pa.large_string())
            self._pending = [_as_strings(each) for each in self._pending]
            batch = _as_strings(batch)
        self._cells.append(cell)
        self._pending.append(batch)
        self._num_pending += len(batch.dictionary)
        self._num_rows += len(batch)
        # Merge rarely: it hashes all distinct ids again.
        many = self._num_pending > max(_MIN_PENDING, len(self._distinct))
        if many or self._num_rows > max(_MOST_PENDING_ROWS, 4 * len(self._distinct)):
            self._merge_pending()

    def finish(self) -> EncodedIds:
        r"""Return the ids and nodes of all rows. The ids are integers if all of them
        are, even if written as strings."""
        self._merge_pending()
        ids = self._distinct
        place = np.arange(len(ids), dtype=np.int32)
        if pa.types.is_large_string(ids.type):
            cleaned = self._clean(ids)
            if not cleaned.equals(ids):  # Two spellings may be one id.
                encoded = cleaned.dictionary_encode()
                ids, place = encoded.dictionary, encoded.indices.to_numpy()
        order = pc.array_sort_indices(ids)
        rank = np.empty(len(ids), dtype=np.int32)
        rank[order.to_numpy()] = np.arange(len(ids), dtype=np.int32)
        return EncodedIds(ids.take(order), self._codes, rank[place])

    def _clean(self, ids: Any) -> Any:
        def fail(reason: str, place: int) -> NoReturn:
            for part, cell in zip(self._codes, self._cells):
                rows = (part == place).nonzero()[0]
                if rows.size > 0:
                    cell.fail(reason, int(rows[0]), ids[place])
            raise AssertionError  # Every id has a row.

        cleaned = clean_ids(ids, fail)
        integers = parse_integers(cleaned)
        return cleaned if integers.null_count else integers

    def _merge_pending(self) -> None:
        # The known ids come first, so that they keep their codes.
        first = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), self._distinct)
        chunks = pa.chunked_array([first, *self._pending]).unify_dictionaries().chunks
        self._distinct = chunks[-1].dictionary
        for chunk in chunks[1:]:
            self._codes.append(chunk.indices.to_numpy())
        self._pending, self._num_pending, self._num_rows = [], 0, 0


def _as_strings(batch: Any) -> Any:
    words = batch.dictionary.cast(pa.large_string())
    return pa.DictionaryArray.from_arrays(batch.indices, words)
