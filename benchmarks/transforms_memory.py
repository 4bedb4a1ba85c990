r"""Measure the peak memory of transforms as a multiple of the size of edge_index.

    python -m benchmarks.transforms_memory --edges 1000000 10000000 --json FILE

Interactions are random: ten per user and fifty per item on average, distinct, sorted by
user and item, with a rating and a time. Each transform runs in its own process. Its
memory is what it needs on top of its input, including the result.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import torch
from torch_geometric.data import HeteroData

from benchmarks import harness
from pyg_irllrec.transforms import (
    BinarizeRatings,
    DropEdges,
    DropNodes,
    KCore,
    RemapIds,
    SplitInteractions,
    SymmetricAdjacency,
)

TRANSFORMS: dict[str, Callable[[], Callable[[HeteroData], Any]]] = {
    'BinarizeRatings(4)': lambda: BinarizeRatings(4),
    'KCore(5)': lambda: KCore(5),
    'RemapIds()': RemapIds,
    "SplitInteractions('random')": SplitInteractions,
    "SplitInteractions('time')": lambda: SplitInteractions('time'),
    "SplitInteractions('time', per_user=False)": lambda: SplitInteractions(
        'time', per_user=False
    ),
    "SplitInteractions('leave_one_out')": lambda: SplitInteractions('leave_one_out'),
    'DropEdges(0.1)': lambda: DropEdges(0.1),
    'DropNodes(0.1)': lambda: DropNodes(0.1),
    'SymmetricAdjacency()': SymmetricAdjacency,
}


def main(argv: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--edges', type=int, nargs='+', default=[10**6, 10**7])
    parser.add_argument(
        '--only',
        nargs='+',
        default=[''],
        metavar='PART',
        help='run only transforms whose names contain one of these',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows here')
    args = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    for num_edges in args.edges:
        for name in TRANSFORMS:
            if any(part in name for part in args.only):
                rows.append(harness.run_apart(measure, name, num_edges))
                print(rows[-1], file=sys.stderr, flush=True)
    print(table(rows))
    if args.json is not None:
        harness.write(args.json, 'transforms_memory', rows)
    return 0


def make_graph(num_edges: int) -> HeteroData:
    """A random graph with at most this many interactions, which are skewed."""
    num_users, num_items = num_edges // 10 + 1, num_edges // 50 + 1
    generator = torch.Generator().manual_seed(0)
    user, item = torch.rand(2, num_edges, generator=generator)
    user = (user.double().pow_(2) * num_users).long()
    item = (item.double().pow_(3) * num_items).long()
    pair = user.mul_(num_items).add_(item).unique()
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = num_users, num_items
    store = data['user', 'rates', 'item']
    store.edge_index = torch.stack([pair // num_items, pair % num_items])
    store.rating = torch.randint(1, 6, pair.shape, generator=generator).float()
    store.time = torch.randint(15 * 10**8, 16 * 10**8, pair.shape, generator=generator)
    return data


def measure(name: str, num_edges: int) -> dict[str, Any]:
    """The time and memory of a transform."""
    data, transform = make_graph(num_edges), TRANSFORMS[name]()
    edge_index = data['user', 'rates', 'item'].edge_index
    memory = harness.Memory(torch.device('cpu'))
    memory.start()
    cpu = time.process_time()
    transform(data)
    seconds, peak = time.process_time() - cpu, memory.peak()
    size = edge_index.numel() * edge_index.element_size() / 2**20
    return {
        'edges': edge_index.size(1),
        'transform': name,
        'cpu_seconds': round(seconds, 1),
        'edge_index_mb': round(size, 1),
        **peak,
        'multiple': round(peak['extra_mb'] / size, 2),
    }


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        '| interactions | transform | CPU seconds | edge_index '
        '| extra memory | x edge_index |',
        '|---|---|---|---|---|---|',
    ]
    lines += [
        f'| {row["edges"]:,} | `{row["transform"]}` | {row["cpu_seconds"]:.1f} '
        f'| {row["edge_index_mb"] / 2**10:.2f} GiB | {row["extra_mb"] / 2**10:.2f} GiB '
        f'| {row["multiple"]:.1f} |'
        for row in rows
    ]
    return '\n'.join(lines)


if __name__ == '__main__':
    sys.exit(main())
