from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Optional

import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.columns import to_ratings
from pyg_irllrec.datasets._ingest.disk_arrays import DiskArrays
from pyg_irllrec.datasets._ingest.id_encoder import IdEncoder
from pyg_irllrec.datasets._ingest.ids import to_ids
from pyg_irllrec.datasets._ingest.partition_rows import Rows, partition_rows
from pyg_irllrec.datasets._ingest.table import Table, check_columns
from pyg_irllrec.datasets._ingest.time_column import TimeColumn

_KEPT = ('user', 'item', 'rating', 'time')


class InteractionColumns(NamedTuple):
    r"""The names of the columns of an interaction."""

    user: str
    item: str
    rating: Optional[str] = None
    timestamp: Optional[str] = None


class Interactions(NamedTuple):
    r"""Interactions between nodes, sorted by user, then item; each pair occurs once."""

    user_ids: Any
    """The ids of nodes, sorted: Arrow arrays of int64 or large_string."""
    item_ids: Any
    edge_index: Tensor
    rating: Optional[Tensor]
    time: Optional[Tensor]
    time_unit: Optional[str]
    """The unit of the times, if they were numbers."""
    num_rows: int
    """The number of rows, repeated pairs included."""


def read_interactions(
    tables: Sequence[Table],
    columns: InteractionColumns,
    duplicates: str,
    time_unit: str,
    folder: Optional[Path] = None,
) -> Interactions:
    r"""Read the tables in order. Memory holds the distinct ids and a few million rows;
    all other rows, and the returned interactions, are on disk.

    Args:
        tables (sequence of Table): The tables.
        columns (InteractionColumns): The columns to read.
        duplicates (str): How to treat repeated pairs.
        time_unit (str): The unit of numeric times.
        folder (Path, optional): The folder of temporary files, which have no names.
            (default: :obj:`None`, the default of :mod:`tempfile`)
    """
    rows = _read_rows(tables, columns, time_unit, folder)
    unit = None if rows.times is None else rows.times.finish()
    buckets = partition_rows(rows, folder)
    user_ids, item_ids = rows.users.ids, rows.items.ids
    num_rows = rows.num_rows
    del rows
    kept = _KeptRows(duplicates, len(item_ids), folder)
    while buckets:  # Frees each bucket before it reads the next.
        kept.add(buckets.pop(0).joined())
    if kept.num_repeated:
        _refuse_repeated(kept, user_ids, item_ids)
    return Interactions(user_ids, item_ids, *kept.finish(), unit, num_rows)


def _read_rows(
    tables: Sequence[Table],
    columns: InteractionColumns,
    time_unit: str,
    folder: Optional[Path],
) -> Rows:
    names = list(dict.fromkeys(name for name in columns if name is not None))
    for table in tables:
        check_columns(table, names)
    users, items = IdEncoder(folder), IdEncoder(folder)
    ratings = None if columns.rating is None else DiskArrays(folder)
    times = None if columns.timestamp is None else TimeColumn(time_unit, folder)
    num_rows = 0
    with tqdm(desc='Reading', unit=' rows', unit_scale=True, delay=2) as progress:
        for table in tables:
            row = 0
            for batch in table.batches(names):
                if len(batch) == 0:
                    continue
                for encoder, name in ((users, columns.user), (items, columns.item)):
                    cell = CellLocation(table, name, row)
                    encoder.add(to_ids(batch[name], cell), cell)
                if columns.rating is not None and ratings is not None:
                    cell = CellLocation(table, columns.rating, row)
                    ratings.append(to_ratings(batch[columns.rating], cell))
                if columns.timestamp is not None and times is not None:
                    cell = CellLocation(table, columns.timestamp, row)
                    times.add(batch[columns.timestamp], cell)
                row += len(batch)
                progress.update(len(batch))
            if row == 0:
                raise ValueError(f'{table.name} must hold interactions, got no rows')
            num_rows += row
    return Rows(users.finish(), items.finish(), ratings, times, num_rows)


class _KeptRows:
    r"""The interactions that remain once repeated rows are merged. Rows are added in
    the order of users, all rows of a user at once."""

    def __init__(self, duplicates: str, num_items: int, folder: Optional[Path]) -> None:
        self._duplicates = duplicates
        self._num_items = num_items
        self._columns = {name: DiskArrays(folder) for name in _KEPT}
        self.num_repeated = 0
        self.first_repeated: Optional[int] = None

    def add(self, records: npt.NDArray[Any]) -> None:
        r"""Add rows as :func:`partition_rows` writes them."""
        key, rating, time = (
            torch.from_numpy(records[name].copy())
            if name in (records.dtype.names or ())
            else None
            for name in ('key', 'rating', 'time')
        )
        assert key is not None
        if self._duplicates == 'error':
            self._count_repeated(key)
        key, rating, time = _merge(key, rating, time, self._duplicates)
        ends = (key // self._num_items, key % self._num_items)
        for name, column in zip(_KEPT, (*ends, rating, time)):
            if column is not None:
                self._columns[name].append(column.numpy())

    def finish(self) -> tuple[Tensor, Optional[Tensor], Optional[Tensor]]:
        r"""Return the pairs, ratings and times, memory-mapped."""
        user, item, rating, time = self._columns.values()
        edge_index = torch.from_numpy(user.mapped(item))
        return (
            edge_index,
            torch.from_numpy(rating.mapped()) if len(rating) else None,
            torch.from_numpy(time.mapped()) if len(time) else None,
        )

    def _count_repeated(self, key: Tensor) -> None:
        key = key.sort().values
        repeated = key[1:][key[1:] == key[:-1]]
        self.num_repeated += repeated.numel()
        if repeated.numel() and self.first_repeated is None:
            self.first_repeated = int(repeated[0])


def _merge(
    key: Tensor, rating: Optional[Tensor], time: Optional[Tensor], duplicates: str
) -> tuple[Tensor, Optional[Tensor], Optional[Tensor]]:
    r"""Sort by key, then time, and keep one row per key."""
    if time is None:
        key, order = key.sort(stable=True)
    else:  # By time, then stably by key.
        order = time.sort(stable=True).indices
        key, last = key[order].sort(stable=True)
        order = order[last]
    first = torch.ones_like(key, dtype=torch.bool)
    torch.ne(key[1:], key[:-1], out=first[1:])
    chosen = first if duplicates == 'first' else first.roll(-1)  # Or the last.
    if rating is not None and duplicates == 'sum':
        total = rating.new_zeros(int(first.sum()), dtype=torch.double)
        rating = total.index_add_(0, first.cumsum(0) - 1, rating[order].double())
        _check_sums(rating)
    elif rating is not None:
        rating = rating[order[chosen]]
    return (
        key[first],
        None if rating is None else rating.float(),
        None if time is None else time[order[chosen]],
    )


def _check_sums(rating: Tensor) -> None:
    if not bool(rating.float().isfinite().all()):
        raise ValueError(
            "'duplicates' = 'sum' must give finite float32 numbers, got a sum of "
            f'{rating.abs().max().item():.3g}'
        )


def _refuse_repeated(kept: _KeptRows, user_ids: Any, item_ids: Any) -> NoReturn:
    assert kept.first_repeated is not None
    user, item = divmod(kept.first_repeated, len(item_ids))
    raise ValueError(
        "'duplicates' must be 'last', 'first' or 'sum' if pairs of user and item are "
        f'repeated, got {kept.num_repeated} rows that repeat a pair (first: user '
        f'{user_ids[user].as_py()!r}, item {item_ids[item].as_py()!r})'
    )
