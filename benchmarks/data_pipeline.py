r"""Measure the time and memory from a CSV file with string ids to a normalised graph.

    python -m benchmarks.data_pipeline --json FILE
    python -m benchmarks.data_pipeline --check

Interactions are random: ten per user and fifty per item on average, with a few very
active users and popular items, and string ids in random order. The steps run in their
own process. With --check, 200 000 interactions are read, split and normalised, and
compared with what pandas and scipy compute from the same file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import scipy.sparse
import torch
from torch_geometric.data import HeteroData

from benchmarks import harness
from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.transforms import SplitInteractions, SymmetricAdjacency

COLUMNS = {
    'user': 'user_id',
    'item': 'item_id',
    'rating': 'stars',
    'timestamp': 'when',
}
AT_ONCE = 1 << 20
CHECKED_ROWS = 200_000
MOST_SECONDS, MOST_GB = 90, 6


def main(argv: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--rows', type=int, metavar='N', help='interactions (default: 10 million)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows here')
    parser.add_argument(
        '--check', action='store_true', help='only compare the results, time nothing'
    )
    args = parser.parse_args(argv)
    num_rows = args.rows or (CHECKED_ROWS if args.check else 10_000_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'interactions.csv'
        print(f'writing {num_rows} interactions ...', file=sys.stderr, flush=True)
        write_csv(path, num_rows)
        if args.check:
            return check(path)
        rows = harness.run_apart(measure, path)
    print(table(rows))
    seconds = sum(row['seconds'] for row in rows)
    peak = max(row['peak_mb'] for row in rows) / 2**10
    for what, value, most, unit in (
        ('all steps', seconds, MOST_SECONDS, 's'),
        ('peak memory', peak, MOST_GB, 'GB'),
    ):
        verdict = 'yes' if value <= most else 'NO'
        print(f'{what}: {value:.3g} {unit} (at most {most} {unit}: {verdict})')
    if args.json is not None:
        harness.write(args.json, 'data_pipeline', rows)
    return 0


def write_csv(path: Path, num_rows: int) -> None:
    """Write skewed random interactions with string ids."""
    rng = np.random.default_rng(0)
    users, items = _ids('u', num_rows // 10 + 1), _ids('i', num_rows // 50 + 1)
    names = list(COLUMNS.values())
    types = [pa.string(), pa.string(), pa.float64(), pa.int64()]
    with pa.csv.CSVWriter(path, pa.schema(list(zip(names, types)))) as writer:
        for start in range(0, num_rows, AT_ONCE):
            size = min(AT_ONCE, num_rows - start)
            user = (len(users) * rng.random(size) ** 2).astype(np.int64)
            item = (len(items) * rng.random(size) ** 3).astype(np.int64)
            stars = rng.integers(1, 11, size) / 2
            when = rng.integers(1_500_000_000, 1_600_000_000, size)
            columns = [users.take(user), items.take(item), stars, when]
            arrays = [pa.array(column) for column in columns]
            writer.write_batch(pa.record_batch(arrays, names=names))


def _ids(prefix: str, count: int) -> Any:
    """Distinct string ids in a scrambled order."""
    keys = np.arange(count) * 2654435761 % 2**32
    return pa.array([f'{prefix}{key:08x}' for key in keys.tolist()])


def measure(path: Path) -> list[dict[str, Any]]:
    """The rows of the table, for a process of its own."""
    return pipeline(path)[1]


def pipeline(path: Path) -> tuple[HeteroData, list[dict[str, Any]]]:
    """The graph, and the time and memory of each step."""
    rows = []
    memory = harness.Memory(torch.device('cpu'))

    def timed(step: str, function: Callable[[], Any]) -> Any:
        memory.start()
        start = time.perf_counter()
        out = function()
        seconds = time.perf_counter() - start
        rows.append({'step': step, 'seconds': round(seconds, 3), **memory.peak()})
        return out

    root = str(path.parent / 'root')
    timed(
        'read, map ids, write',
        lambda: InteractionDataset.from_csv(path, root, **COLUMNS),
    )
    data = timed('open', lambda: InteractionDataset(root))[0]
    rows[0]['interactions'] = data['user', 'rates', 'item'].edge_index.size(1)
    data = timed('split by time', lambda: SplitInteractions('time')(data))
    data = timed('normalise', lambda: SymmetricAdjacency()(data))
    return data, rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = ['| step | seconds | peak MB | extra MB |', '|---|---|---|---|']
    lines += [
        f'| {row["step"]} | {row["seconds"]:.2f} | {row["peak_mb"]:.0f} '
        f'| {row["extra_mb"]:.0f} |'
        for row in rows
    ]
    return '\n'.join(lines)


def check(path: Path) -> int:
    """Compare with pandas and scipy on the same file. Return 1 if they differ."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        data, _ = pipeline(path)
        whole = InteractionDataset(str(path.parent / 'root'))[0]
    wrong = differences(whole, data, pd.read_csv(path))
    for line in wrong:
        print(f'error: {line}', file=sys.stderr)
    if not wrong:
        print('ids, interactions, split and normalised matrix agree')
    return 1 if wrong else 0


def differences(whole: HeteroData, split: HeteroData, frame: pd.DataFrame) -> list[str]:
    """Describe each difference from the expected ids, interactions and matrix."""
    frame = frame.sort_values('when', kind='stable')
    frame = frame.drop_duplicates(['user_id', 'item_id'], keep='last')
    frame = frame.sort_values(['user_id', 'item_id'])
    rates = whole['user', 'rates', 'item']
    users, user = np.unique(frame['user_id'].to_numpy(object), return_inverse=True)
    items, item = np.unique(frame['item_id'].to_numpy(object), return_inverse=True)
    expected: dict[str, tuple[Any, Any]] = {
        'user ids': (whole['user'].id, users),
        'item ids': (whole['item'].id, items),
        'users': (rates.edge_index[0], user),
        'items': (rates.edge_index[1], item),
        'ratings': (rates.rating, frame['stars']),
        'times': (rates.time, frame['when']),
    }
    wrong = [
        f'{name} differ'
        for name, (found, wanted) in expected.items()
        if not np.array_equal(np.asarray(found), np.asarray(wanted))
    ]
    parts = split['user', 'rates', 'item']
    names = ('edge_index', 'val_edge_label_index', 'test_edge_label_index')
    keys = [parts[name][0] * len(items) + parts[name][1] for name in names]
    if not torch.equal(
        torch.cat(keys).sort().values,
        torch.from_numpy(np.sort(user * len(items) + item)),
    ):
        wrong.append('the splits do not contain each interaction exactly once')
    gap = abs(_found_matrix(split) - _normalised(parts.edge_index.numpy(), split)).max()
    if not gap < 1e-6:
        wrong.append(f'the normalised matrix is off by {gap:.1e}')
    return wrong


def _size(data: HeteroData) -> int:
    return int(data['user'].num_nodes + data['item'].num_nodes)


def _found_matrix(data: HeteroData) -> scipy.sparse.csr_matrix:
    size = _size(data)
    ends = data.edge_index.as_tensor().numpy()
    weight = data.edge_weight.numpy()
    return scipy.sparse.csr_matrix((weight, tuple(ends)), shape=(size, size))


def _normalised(
    pairs: npt.NDArray[np.int64], data: HeteroData
) -> scipy.sparse.csr_matrix:
    size = _size(data)
    user, item = pairs[0], pairs[1] + int(data['user'].num_nodes)
    half = scipy.sparse.csr_matrix(
        (np.ones(user.size), (user, item)), shape=(size, size)
    )
    both = half + half.T
    degree = np.asarray(both.sum(axis=1)).ravel()
    scale = scipy.sparse.diags(1 / np.sqrt(np.maximum(degree, 1)))
    return scale @ both @ scale


if __name__ == '__main__':
    sys.exit(main())
