r"""Measure the time and memory to write the best items of all users into a file.

    python -m benchmarks.recommend_all --json FILE
    python -m benchmarks.recommend_all --users 10000 100000 1000000 --json FILE

The bundle has random embeddings, 64 wide, 100 000 items with titles, and 10
interactions per user, whose items are not recommended. Each case runs in its own
process. Memory is what writing needs on top of the bundle. A million users take about
ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData

from benchmarks.harness import Memory, write
from pyg_irllrec.nn import LightGCN, Recommender
from pyg_irllrec.serving import Bundle
from pyg_irllrec.typing import RATES
from pyg_irllrec.utils import bipartite_edge_index

Row = dict[str, Any]
DIM, PER_USER = 64, 10


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--users', type=int, nargs='+', default=[10_000, 100_000])
    parser.add_argument('--items', type=int, default=100_000)
    parser.add_argument('--k', type=int, default=10)
    parser.add_argument(
        '--format', nargs='+', default=['parquet'], choices=('parquet', 'csv', 'jsonl')
    )
    parser.add_argument(
        '--index', nargs='+', default=['exact'], choices=('exact', 'faiss')
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows here')
    args = parser.parse_args()
    rows = []
    for num_users in args.users:
        for index in args.index:
            for ending in args.format:
                case = (num_users, args.items, args.k, ending, index)
                # A process per case, so that its peak memory is measured alone.
                with get_context('spawn').Pool(1) as pool:
                    rows.append(pool.apply(measure, case))
                print(rows[-1], file=sys.stderr, flush=True)
    print(table(rows))
    if args.json is not None:
        write(args.json, 'recommend_all', rows)
    return 0


def measure(num_users: int, num_items: int, k: int, ending: str, index: str) -> Row:
    bundle = random_bundle(num_users, num_items)
    bundle.recommend([0], k, index=index)  # Builds what is built only once.
    memory = Memory(torch.device('cpu'))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f'best.{ending}'
        memory.start()
        start = time.perf_counter()
        bundle.write_recommendations(path, k=k, index=index, progress=False)
        seconds = time.perf_counter() - start
        extra = memory.peak()['extra_mb']
        size = path.stat().st_size
    return {
        **{'users': num_users, 'items': num_items, 'k': k, 'format': ending},
        'index': index,
        'seconds': round(seconds, 2),
        'users_per_second': round(num_users / seconds, 1),
        'extra_mb': extra,
        'file_mb': round(size / 2**20, 1),
    }


def random_bundle(num_users: int, num_items: int) -> Bundle:
    generator = torch.Generator().manual_seed(0)
    user = torch.arange(num_users).repeat_interleave(PER_USER)
    item = torch.randint(num_items, user.shape, generator=generator)
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = num_users, num_items
    data['item'].title = [f'The title of item {row}' for row in range(num_items)]
    data[RATES].edge_index = torch.stack([user, item])
    graph = bipartite_edge_index(data[RATES].edge_index, num_users, num_items)
    torch.manual_seed(0)
    backbone = LightGCN(num_users, num_items, DIM, num_layers=1)
    return Bundle(Recommender(backbone, graph), data)


def table(rows: list[Row]) -> str:
    lines = [
        '| users | items | k | format | index | time | users per second | memory '
        '| file |',
        '|---|---|---|---|---|---|---|---|---|',
    ]
    lines += [
        f'| {row["users"]:,} | {row["items"]:,} | {row["k"]} | {row["format"]} '
        f'| {row["index"]} | {row["seconds"]:.0f} s | {row["users_per_second"]:,.0f} '
        f'| {row["extra_mb"]:.0f} MB | {row["file_mb"]:.0f} MB |'
        for row in rows
    ]
    return '\n'.join(lines)


if __name__ == '__main__':
    sys.exit(main())
