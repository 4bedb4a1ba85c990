from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from pyg_irllrec.datasets._ingest.disk_arrays import DiskArrays
from pyg_irllrec.datasets._ingest.id_encoder import EncodedIds
from pyg_irllrec.datasets._ingest.time_column import TimeColumn

_BUCKET_ROWS = 1 << 22
_MOST_BUCKETS = 256  # Each is an open file.
_SAMPLED = 64


class Rows(NamedTuple):
    r"""All rows of interactions, batch by batch."""

    users: EncodedIds
    items: EncodedIds
    ratings: Optional[DiskArrays]
    times: Optional[TimeColumn]
    num_rows: int


def partition_rows(rows: Rows, folder: Optional[Path]) -> list[DiskArrays]:
    r"""Divide rows by user into buckets that fit into memory. The users of each bucket
    come before those of the next; within a bucket, rows keep their order.

    Args:
        rows (Rows): The rows.
        folder (Path, optional): The folder of temporary files.

    Returns:
        For each bucket, records of :obj:`key`, the number of the pair of user and item,
        and of :obj:`rating` and :obj:`time` if rows have them.
    """
    bounds = _bounds(rows)
    buckets = [DiskArrays(folder) for _ in range(len(bounds) + 1)]
    for batch in range(len(rows.users.codes)):
        records = _records(rows, batch)
        bucket = np.searchsorted(bounds, rows.users.nodes(batch), side='right')
        order = bucket.astype(np.uint8).argsort(kind='stable')
        ends = np.bincount(bucket, minlength=len(buckets)).cumsum()
        for kept, part in zip(buckets, np.split(records[order], ends[:-1])):
            if len(part):
                kept.append(part)
    return [bucket for bucket in buckets if len(bucket)]


def _records(rows: Rows, batch: int) -> npt.NDArray[Any]:
    user = rows.users.nodes(batch).astype(np.int64)
    columns = {'key': user * len(rows.items.ids) + rows.items.nodes(batch)}
    if rows.ratings is not None:
        columns['rating'] = rows.ratings[batch]
    if rows.times is not None:
        columns['time'] = rows.times.seconds(batch)
    types = [(name, values.dtype) for name, values in columns.items()]
    records = np.empty(len(user), types)
    for name, values in columns.items():
        records[name] = values
    return records


def _bounds(rows: Rows) -> npt.NDArray[np.int32]:
    r"""Estimate the first users of all buckets but the first from a sample of rows."""
    num_buckets = min(-(-rows.num_rows // _BUCKET_ROWS), _MOST_BUCKETS)
    if num_buckets == 1:
        return np.empty(0, np.int32)
    users = [
        rows.users.nodes(batch)[::_SAMPLED] for batch in range(len(rows.users.codes))
    ]
    sample = np.sort(np.concatenate(users))
    places = np.arange(1, num_buckets) * len(sample) // num_buckets
    return np.unique(sample[places])
