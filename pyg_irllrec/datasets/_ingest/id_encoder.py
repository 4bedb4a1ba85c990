from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.columns import CellLocation, parse_integers

_MIN_PENDING = 1 << 20


class EncodedIds(NamedTuple):
    r"""Distinct ids, and the node of each row."""

    ids: Any
    """The distinct ids, sorted: an Arrow array of int64 or large_string."""
    nodes: npt.NDArray[np.int32]
    """The node of each row: the position of its id in :obj:`ids`."""


class IdEncoder:
    r"""Maps a stream of ids to nodes. It keeps the distinct ids, and four bytes per
    row. The node of an id depends only on the set of ids."""

    def __init__(self) -> None:
        self._distinct: Any = None
        self._nodes: list[npt.NDArray[np.int32]] = []
        self._pending: list[Any] = []
        self._num_pending = 0

    def add(self, ids: Any, cell: CellLocation) -> None:
        r"""Adds the ids of the next rows, which are at :obj:`cell`."""
        if self._distinct is None:
            self._distinct = ids[:0]
        if ids.type != self._distinct.type:
            cell.fail(
                f'must hold ids of the same type as the tables before it, '
                f'{self._distinct.type}, got {ids.type}'
            )
        batch = ids.dictionary_encode()
        self._pending.append(batch)
        self._num_pending += len(batch.dictionary)
        # Rarely, because all distinct ids are hashed again.
        if self._num_pending > max(_MIN_PENDING, len(self._distinct)):
            self._merge_pending()

    def finish(self, strings_to_integers: bool) -> EncodedIds:
        r"""Returns the ids and nodes of all rows.

        Args:
            strings_to_integers (bool): Whether strings become integers where all of
                them are written as integers.
        """
        self._merge_pending()
        ids = self._distinct
        if strings_to_integers:
            integers = parse_integers(ids)
            ids = ids if integers.null_count else integers
        order = pc.array_sort_indices(ids)
        rank = np.empty(len(ids), dtype=np.int32)
        rank[order.to_numpy()] = np.arange(len(ids), dtype=np.int32)
        nodes = [rank[part] for part in self._nodes]
        return EncodedIds(ids.take(order), np.concatenate(nodes))

    def _merge_pending(self) -> None:
        # The ids so far come first, so that they keep their numbers.
        first = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), self._distinct)
        chunks = pa.chunked_array([first, *self._pending]).unify_dictionaries().chunks
        self._distinct = chunks[-1].dictionary
        self._nodes += [chunk.indices.to_numpy() for chunk in chunks[1:]]
        self._pending, self._num_pending = [], 0
