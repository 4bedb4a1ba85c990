from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.columns import CellLocation, integers_of

_LEAST_WAITING = 1 << 20


class EncodedIds(NamedTuple):
    r"""Ids as nodes."""

    ids: Any
    """The distinct ids, sorted: an Arrow array of int64 or large_string."""
    nodes: npt.NDArray[np.int32]
    """The node of every row: the place of its id in :obj:`ids`."""


class IdEncoder:
    r"""From a stream of ids to nodes. Only distinct ids are kept, and four bytes a
    row. Which node an id becomes depends on the set of ids alone."""

    def __init__(self) -> None:
        self._known: Any = None
        self._nodes: list[npt.NDArray[np.int32]] = []
        self._waiting: list[Any] = []
        self._num_waiting = 0

    def add(self, ids: Any, cell: CellLocation) -> None:
        r"""The next rows, and where they stand."""
        if self._known is None:
            self._known = ids[:0]
        if ids.type != self._known.type:
            cell.refuse(
                f'must hold ids of the type of the tables before, '
                f'{self._known.type}, got {ids.type}'
            )
        batch = ids.dictionary_encode()
        self._waiting.append(batch)
        self._num_waiting += len(batch.dictionary)
        # Seldom, since all known ids are hashed anew.
        if self._num_waiting > max(_LEAST_WAITING, len(self._known)):
            self._unify()

    def finish(self, parse_integers: bool) -> EncodedIds:
        r"""All rows.

        Args:
            parse_integers (bool): Whether strings become integers if all spell one.
        """
        self._unify()
        ids = self._known
        if parse_integers:
            integers = integers_of(ids)
            ids = ids if integers.null_count else integers
        order = pc.array_sort_indices(ids)
        rank = np.empty(len(ids), dtype=np.int32)
        rank[order.to_numpy()] = np.arange(len(ids), dtype=np.int32)
        nodes = [rank[part] for part in self._nodes]
        return EncodedIds(ids.take(order), np.concatenate(nodes))

    def _unify(self) -> None:
        # What is known comes first, so that its numbers stay.
        known = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), self._known)
        chunks = pa.chunked_array([known, *self._waiting]).unify_dictionaries().chunks
        self._known = chunks[-1].dictionary
        self._nodes += [chunk.indices.to_numpy() for chunk in chunks[1:]]
        self._waiting, self._num_waiting = [], 0
