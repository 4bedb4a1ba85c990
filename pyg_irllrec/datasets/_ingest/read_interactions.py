from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.columns import to_ratings
from pyg_irllrec.datasets._ingest.id_encoder import IdEncoder
from pyg_irllrec.datasets._ingest.ids import to_ids
from pyg_irllrec.datasets._ingest.table import Table, check_columns
from pyg_irllrec.datasets._ingest.time_column import TimeColumn


class InteractionColumns(NamedTuple):
    r"""The names of the columns of an interaction."""

    user: str
    item: str
    rating: Optional[str] = None
    timestamp: Optional[str] = None


class Interactions(NamedTuple):
    r"""Interactions between nodes, sorted by user, then item, each pair once."""

    user_ids: Any
    """The ids of nodes, sorted: Arrow arrays of int64 or large_string."""
    item_ids: Any
    edge_index: Tensor
    rating: Optional[Tensor]
    time: Optional[Tensor]
    time_unit: Optional[str]
    """The unit that times were written in, where they were numbers."""
    num_rows: int
    """The number of rows, repeated pairs included."""


def read_interactions(
    tables: Sequence[Table],
    columns: InteractionColumns,
    duplicates: str,
    time_unit: str,
) -> Interactions:
    r"""Reads the tables in their order."""
    names = list(dict.fromkeys(name for name in columns if name is not None))
    for table in tables:
        check_columns(table, names)
    users, items = IdEncoder(), IdEncoder()
    ratings: list[npt.NDArray[np.float32]] = []
    times = TimeColumn(time_unit)
    with tqdm(desc='Reading', unit=' rows', unit_scale=True, delay=2) as progress:
        for table in tables:
            row = 0
            for batch in table.batches(names):
                for encoder, name in ((users, columns.user), (items, columns.item)):
                    cell = CellLocation(table, name, row)
                    encoder.add(to_ids(batch[name], cell), cell)
                if columns.rating is not None:
                    cell = CellLocation(table, columns.rating, row)
                    ratings.append(to_ratings(batch[columns.rating], cell))
                if columns.timestamp is not None:
                    cell = CellLocation(table, columns.timestamp, row)
                    times.add(batch[columns.timestamp], cell)
                row += len(batch)
                progress.update(len(batch))
            if row == 0:
                raise ValueError(f'{table.name} must hold interactions, got no rows')
    user_ids, user = users.finish()
    item_ids, item = items.finish()
    rating = torch.from_numpy(np.concatenate(ratings)) if ratings else None
    time, unit = None, None
    if columns.timestamp is not None:
        seconds, unit = times.finish()
        time = torch.from_numpy(seconds)
        del seconds
    key = torch.from_numpy(user * np.int64(len(item_ids)) + item)
    del users, items, user, item, ratings, times
    if duplicates == 'error':
        _check_distinct(key, user_ids, item_ids)
    num_rows = key.numel()
    key, rating, time = _merge(key, rating, time, duplicates)
    edge_index = torch.stack([key // len(item_ids), key % len(item_ids)])
    return Interactions(user_ids, item_ids, edge_index, rating, time, unit, num_rows)


def _merge(
    key: Tensor, rating: Optional[Tensor], time: Optional[Tensor], duplicates: str
) -> tuple[Tensor, Optional[Tensor], Optional[Tensor]]:
    r"""Sorts by key, then time, and keeps one row per key."""
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


def _check_distinct(key: Tensor, user_ids: Any, item_ids: Any) -> None:
    key = key.sort().values
    repeated = key[1:][key[1:] == key[:-1]]
    if repeated.numel() > 0:
        user, item = divmod(int(repeated[0]), len(item_ids))
        raise ValueError(
            "'duplicates' must be 'last', 'first' or 'sum' where pairs of user and "
            f'item are repeated, got {repeated.numel()} rows that repeat a pair '
            f'(first: user {user_ids[user].as_py()!r}, item '
            f'{item_ids[item].as_py()!r})'
        )
