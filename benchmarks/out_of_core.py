r"""Measure the time, memory and disk to prepare interactions that exceed the memory.

    python -m benchmarks.out_of_core --rows 1000000 10000000 100000000 --json FILE
    python -m benchmarks.out_of_core --dry

Interactions are random: ten per user and fifty per item on average, with string ids in
random order, a rating and a time. They are in a folder of Parquet files in Hive's
layout. Each step runs in its own process. With --dry, a small dataset is read in
buckets of a few thousand rows and compared with the same dataset sorted in memory.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import torch

from benchmarks import harness
from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.datasets._ingest import partition_rows
from pyg_irllrec.transforms import BinarizeRatings, KCore

COLUMNS = {
    'user': 'user_id',
    'item': 'item_id',
    'rating': 'stars',
    'timestamp': 'when',
}
AT_ONCE = 1 << 20
DAYS = 20
POLL_SECONDS = 0.05


def main(argv: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--rows', type=int, nargs='+', default=[10**6, 10**7])
    parser.add_argument(
        '--root', type=Path, metavar='DIR', help='folder on the disk to measure'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows here')
    parser.add_argument(
        '--dry', action='store_true', help='only compare the results, time nothing'
    )
    args = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=args.root) as name:
        folder = Path(name)
        if args.dry:
            return dry(folder)
        for num_rows in args.rows:
            print(f'writing {num_rows} interactions ...', file=sys.stderr, flush=True)
            write_parquet(folder / 'plays', num_rows)
            for step in (prepare, open_and_filter):
                row = harness.run_apart(measure, step, folder)
                rows.append({'rows': num_rows, **row})
                print(rows[-1], file=sys.stderr, flush=True)
                if args.json is not None:  # A run that is stopped keeps its rows.
                    harness.write(args.json, 'out_of_core', rows)
            shutil.rmtree(folder / 'plays')
            shutil.rmtree(folder / 'root')
    print(table(rows))
    return 0


def write_parquet(folder: Path, num_rows: int) -> None:
    """Write skewed random interactions with string ids."""
    rng = np.random.default_rng(0)
    users, items = _ids('u', num_rows // 10 + 1), _ids('i', num_rows // 50 + 1)
    for part, start in enumerate(range(0, num_rows, AT_ONCE)):
        size = min(AT_ONCE, num_rows - start)
        user = (len(users) * rng.random(size) ** 2).astype(np.int64)
        item = (len(items) * rng.random(size) ** 3).astype(np.int64)
        columns = {
            'user_id': users.take(pa.array(user)),
            'item_id': items.take(pa.array(item)),
            'stars': rng.integers(1, 11, size) / 2,
            'when': rng.integers(1_500_000_000, 1_600_000_000, size),
        }
        path = folder / f'day={part % DAYS}' / f'{part}.parquet'
        path.parent.mkdir(parents=True, exist_ok=True)
        pa.parquet.write_table(pa.table(columns), path)


def _ids(prefix: str, count: int) -> Any:
    """Distinct string ids in a scrambled order."""
    keys = pa.array(np.arange(count) * 2654435761 % 2**32).cast(pa.string())
    return pc.binary_join_element_wise(prefix, keys, '')


def measure(step: Callable[[Path], dict[str, Any]], folder: Path) -> dict[str, Any]:
    """The time, memory and disk of a step."""
    memory = harness.Memory(torch.device('cpu'))
    memory.start()
    start, cpu = time.perf_counter(), time.process_time()
    with Watch(folder) as watch:
        found = step(folder)
    return {
        'step': step.__name__,
        'seconds': round(time.perf_counter() - start, 1),
        'cpu_seconds': round(time.process_time() - cpu, 1),
        **memory.peak(),
        'private_mb': round(watch.private / 2**20, 1),
        'disk_mb': round(watch.disk / 2**20, 1),
        **found,
    }


class Watch:
    """Record the peaks of private memory and of disk use in a thread. Private memory
    excludes mapped files, whose pages the kernel can take back at any time."""

    def __init__(self, folder: Path) -> None:
        self.private = self.disk = 0
        self._folder = folder
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Watch:
        self._free = shutil.disk_usage(self._folder).free
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._done.wait(POLL_SECONDS):
            resident, shared = map(
                int, Path('/proc/self/statm').read_text().split()[1:3]
            )
            private = (resident - shared) * os.sysconf('SC_PAGE_SIZE')
            self.private = max(self.private, private)
            used = self._free - shutil.disk_usage(self._folder).free
            self.disk = max(self.disk, used)


def prepare(folder: Path) -> dict[str, Any]:
    dataset = InteractionDataset.from_parquet(
        folder / 'plays', folder / 'root', **COLUMNS
    )
    return dataset.counts


def open_and_filter(folder: Path) -> dict[str, Any]:
    data = InteractionDataset(folder / 'root')[0]
    data = KCore(5)(BinarizeRatings(2)(data))
    return {'interactions': data['user', 'rates', 'item'].edge_index.size(1)}


def dry(folder: Path) -> int:
    """Compare reading in buckets with reading at once. Return 1 if they differ."""
    write_parquet(folder / 'plays', 50_000)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        whole = InteractionDataset.from_parquet(
            folder / 'plays', folder / 'whole', **COLUMNS
        )
        partition_rows._BUCKET_ROWS = 5_000
        parts = InteractionDataset.from_parquet(
            folder / 'plays', folder / 'parts', **COLUMNS
        )
    one, other = (each[0]['user', 'rates', 'item'] for each in (whole, parts))
    same = all(
        torch.equal(one[name], other[name]) for name in ('edge_index', 'rating', 'time')
    )
    print('results agree' if same else 'error: buckets change the result')
    return 0 if same else 1


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        '| rows | step | CPU seconds | peak memory | without mapped files | per row '
        '| disk |',
        '|---|---|---|---|---|---|---|',
    ]
    lines += [
        f'| {row["rows"]:,} | {row["step"].replace("_", " ")} '
        f'| {row["cpu_seconds"]:.0f} | {row["peak_mb"] / 2**10:.1f} GiB '
        f'| {row["private_mb"] / 2**10:.1f} GiB '
        f'| {row["private_mb"] * 2**20 / row["rows"]:.0f} B '
        f'| {row["disk_mb"] / 2**10:.1f} GiB |'
        for row in rows
    ]
    return '\n'.join(lines)


if __name__ == '__main__':
    sys.exit(main())
