r"""Compare the item index with the exact search: recall, time and memory.

    python -m benchmarks.item_index --items 100000 1000000 --json FILE

Embeddings are 64 wide and have unit length, like those of a model trained with a
softmax. Items mix two of 200 directions, users mix three. Every fifth of a user's 100
nearest items is excluded, as if the user had seen it. Recall is the share of the exact
20 best items that the index finds. Both searches answer batches of 128 users, and users
one by one, in the same process. Takes about five minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Memory, write
from pyg_irllrec.functional import top_k_items
from pyg_irllrec.functional.unit_norm import unit_norm
from pyg_irllrec.serving import ItemIndex

Row = dict[str, Any]
Pairs = tuple[Tensor, Tensor]
DIM, DIRECTIONS, SPREAD = 64, 200, 0.5
K, BATCH, NUM_BATCHES, NUM_SINGLE = 20, 128, 8, 100
SHARES = (0.02, 0.05, 0.1, 0.2)  # Shares of the cells to visit. The default is 0.1.


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--items', type=int, nargs='+', default=[100_000, 1_000_000])
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows here')
    args = parser.parse_args()
    rows: list[Row] = []
    for num_items in args.items:
        # A process per size, so that its peak memory is measured alone.
        with get_context('spawn').Pool(1) as pool:
            rows += pool.apply(measure, (num_items,))
    print(table(rows))
    if args.json is not None:
        write(args.json, 'item_index', rows)
    return 0


def measure(num_items: int) -> list[Row]:
    users, items = embeddings(num_items)
    batches = users.split(BATCH)
    excluded = [exclude_some(batch, items) for batch in batches]
    pairs = list(zip(batches, excluded))
    exact = [top_k_items(*(user, items, K), each).indices for user, each in pairs]
    batch, _ = clock(
        lambda: [top_k_items(user, items, K, each) for user, each in pairs]
    )
    single, _ = clock(lambda: [top_k_items(one, items, K) for one in singles(users)])
    sizes = {'items': num_items, 'k': K}
    rows = [
        {
            **{**sizes, 'search': 'exact', 'probes': None, 'recall': 1.0},
            **{'batch_ms': batch, 'single_ms': single},
            **{'build_seconds': 0.0, 'memory_mb': 0.0},
        }
    ]
    memory = Memory(torch.device('cpu'))
    memory.start()
    start = time.perf_counter()
    index = ItemIndex(items)
    built = time.perf_counter() - start
    used = memory.peak()['extra_mb']
    for share in SHARES:
        index.num_probes = max(1, round(share * index.num_cells))
        batch, found = clock(
            lambda: [index.search(user, K, each).item for user, each in pairs]
        )
        single, _ = clock(lambda: [index.search(one, K) for one in singles(users)])
        check(found, excluded)
        rows.append(
            {
                **{**sizes, 'search': 'faiss', 'probes': index.num_probes},
                **{'cells': index.num_cells, 'recall': recall(found, exact)},
                **{'batch_ms': batch, 'single_ms': single},
                **{'build_seconds': round(built, 2), 'memory_mb': used},
            }
        )
    # Times per user: the batches have all users, the single searches only a few.
    for row in rows:
        row['batch_ms'] = round(row['batch_ms'] / len(users), 4)
        row['single_ms'] = round(row['single_ms'] / NUM_SINGLE, 4)
        row['users_per_second'] = round(1e3 / row['batch_ms'], 1)
    return rows


def embeddings(num_items: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    centre = unit_norm(torch.randn(DIRECTIONS, DIM, generator=generator))

    def draw(count: int, mixed: int) -> Tensor:
        near = torch.randint(DIRECTIONS, (count, mixed), generator=generator)
        share = torch.rand(count, mixed, 1, generator=generator)
        noise = torch.randn(count, DIM, generator=generator) * SPREAD * DIM**-0.5
        return unit_norm((centre[near] * share).sum(dim=1) + noise)

    return draw(BATCH * NUM_BATCHES, 3), draw(num_items, 2)


def exclude_some(user: Tensor, items: Tensor) -> Pairs:
    near = top_k_items(user, items, 100).indices[:, ::5]
    row = torch.arange(len(user)).repeat_interleave(near.size(1))
    return row, near.flatten()


def singles(users: Tensor) -> tuple[Tensor, ...]:
    return users[:NUM_SINGLE].split(1)


def clock(work: Any) -> tuple[float, Any]:
    """The least milliseconds of three turns, and the result of the work."""
    times, result = [], None
    for _ in range(3):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3, result


def check(found: list[Tensor], excluded: list[Pairs]) -> None:
    """Check that each user gets K items and no excluded one."""
    for item, (row, left_out) in zip(found, excluded):
        assert bool((item >= 0).all())
        assert not bool((item[row] == left_out.unsqueeze(1)).any())


def recall(found: list[Tensor], exact: list[Tensor]) -> float:
    hits = [
        (one.unsqueeze(2) == other.unsqueeze(1)).any(dim=2).float().mean()
        for one, other in zip(found, exact)
    ]
    return round(float(torch.stack(hits).mean()), 4)


def table(rows: list[Row]) -> str:
    lines = [
        '| items | search | cells visited | recall@20 | in batches | one by one '
        '| users per second | build | memory |',
        '|---|---|---|---|---|---|---|---|---|',
    ]
    for row in rows:
        visited, build, memory = '', '', ''
        if row['search'] == 'faiss':
            visited = f'{row["probes"]} of {row["cells"]}'
            build, memory = (
                f'{row["build_seconds"]:.1f} s',
                f'{row["memory_mb"]:.0f} MB',
            )
        lines.append(
            f'| {row["items"]:,} | {row["search"]} | {visited} | {row["recall"]:.3f} '
            f'| {row["batch_ms"]:.2f} ms | {row["single_ms"]:.2f} ms '
            f'| {row["users_per_second"]:,.0f} | {build} | {memory} |'
        )
    return '\n'.join(lines)


if __name__ == '__main__':
    sys.exit(main())
