"""Measure data-parallel and sharded training on several gloo processes.

    python -m benchmarks.distributed train --json FILE
    python -m benchmarks.distributed shards --json FILE
    python -m benchmarks.distributed model --json FILE
    python -m benchmarks.distributed large --json FILE

``train``: each of 1 to 4 processes has the whole model; compares loss and gradients
with those of one process, and measures how a step scales. ``shards``: the same, but
each process has a share of the rows. ``model``: compares every term of
benchmarks.cost_model with a count. ``large``: 10^7 nodes on four processes. The
processes share the cores of one machine, so compare CPU seconds, not wall time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from benchmarks import _data_parallel, _shards, harness
from benchmarks.cost_model import Setting, cost
from pyg_irllrec.distributed import ShardedGraph, ShardedLightGCN

Row = dict[str, Any]

WITHIN = 0.1
"""The largest allowed relative error of the cost model."""
EQUAL = 1e-5


def main() -> int:
    args = parse()
    sections: dict[str, Callable[[bool], list[Row]]] = {
        'train': _data_parallel.train,
        'shards': shards,
        'model': model,
        'large': large,
    }
    rows = sections[args.section](args.quick)
    for row in rows:
        print(row)
    if args.json is not None:
        harness.write(args.json, f'distributed_{args.section}', rows)
    wrong = [row for row in rows if row.get('agrees') is False]
    for row in wrong:
        print(f'error: this row is off by too much: {row}', file=sys.stderr)
    return 1 if wrong else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('section', choices=('train', 'shards', 'model', 'large'))
    parser.add_argument(
        '--quick', action='store_true', help='small sizes: only check that it runs'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows here')
    return parser.parse_args()


# Equality and scaling.


def shards(quick: bool) -> list[Row]:
    """Compare the losses of several processes with those of one. Then measure strong
    scaling (the same graph) and weak scaling (a graph that grows)."""
    numbers = (1, 2) if quick else (1, 2, 3, 4)
    rows = [row for negatives in ('all', 'batch') for row in equal(numbers, negatives)]
    nodes = 2_000 if quick else 100_000
    for name in ('strong', 'weak'):
        for number in numbers:
            size = nodes if name == 'strong' else nodes // 4 * number
            batch = 4096 // number if name == 'strong' else 1024
            setting = Setting(size, 5 * size, 32, 3, batch, 48, number)
            rows.append({'case': name, **step(setting, 1 if quick else 3)})
    return rows


def equal(numbers: tuple[int, ...], negatives: str) -> list[Row]:
    """The largest relative error of the losses of three steps."""
    rows: list[Row] = []
    first = torch.empty(0)
    for number in numbers:
        setting = Setting(3_000, 15_000, 32, 3, 256, 48, number, negatives=negatives)
        losses = sum(_shards.run(number, few_losses, setting))
        assert isinstance(losses, Tensor)
        first = losses if number == 1 else first
        error = float((losses / first - 1).abs().max())
        row = {'case': 'equality', 'processes': number, 'negatives': negatives}
        rows.append(row | {'max_error': error, 'agrees': error <= EQUAL})
    return rows


def few_losses(mesh: DeviceMesh, s: Setting) -> Tensor:
    """A rank's shares of the losses of three steps. Weights, texts and triplets do not
    depend on the number of ranks."""
    torch.manual_seed(0)
    rank, num_ranks = mesh.get_rank(), s.processes
    pairs = _shards.draw_pairs(s._replace(processes=1), 0)[:, rank::num_ranks]
    graph = ShardedGraph(pairs, *_shards.sizes(s), mesh)
    text, weight = (
        [
            side[ranges.start(rank) :][: ranges.count(rank)]
            for side, ranges in zip(x.split(_shards.sizes(s)), graph.ranges)
        ]
        for x in (torch.randn(s.nodes, s.text_width), 0.1 * torch.randn(s.nodes, s.dim))
    )
    net = ShardedLightGCN(
        graph,
        s.dim,
        text=torch.cat(text),
        projector=torch.nn.Linear(s.text_width, s.dim),
        negatives=s.negatives,
        impl='moments' if s.negatives == 'all' else 'ring',
    )
    with torch.no_grad():
        net.users.own.copy_(weight[0])
        net.items.own.copy_(weight[1])
    optimizer = torch.optim.Adam(net.parameter_groups(), lr=0.01)
    torch.manual_seed(1)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = net.loss(_shards.draw_triplets(s)[:, rank::num_ranks])
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def step(setting: Setting, repeats: int) -> Row:
    """The time and bytes of a step, as means over ranks."""
    found = _shards.run(setting.processes, _shards.measure, setting, repeats, False)
    return {
        **setting._asdict(),
        'seconds': statistics.median(found[0]['seconds']),
        'cpu_seconds': mean([statistics.median(each['cpu_seconds']) for each in found]),
        'build_seconds': found[0]['build_seconds'],
        'sent': mean([sum(each['sent'].values()) for each in found]),
        'halo_rows': mean([each['halo_rows'] for each in found]),
        'own_rows': mean([each['own_rows'] for each in found]),
        'build_peak_mb': max(each['build_peak_mb'] for each in found),
        'step_peak_mb': max(each['peak_mb'] for each in found),
        'peak_mb_of_all_processes': sum(
            max(each['build_peak_mb'], each['peak_mb'], each['peak_mb_of_all'])
            for each in found
        ),
        'loss': sum(each['loss_share'] for each in found),
    }


# The cost model.

SETTINGS = (
    Setting(20_000, 100_000, 16, 2, 1024, 24, 4),
    Setting(50_000, 250_000, 32, 3, 1024, 48, 3, crossing=0.2, slices=2),
    Setting(100_000, 1_000_000, 64, 1, 2048, 96, 2),
    Setting(200_000, 1_000_000, 32, 3, 512, 48, 4, negatives='batch', slices=4),
)


def model(quick: bool) -> list[Row]:
    """Compare each term of the model with its count, the mean over ranks, at four
    sizes."""
    rows = []
    for setting in SETTINGS[:1] if quick else SETTINGS:
        found = _shards.run(setting.processes, _shards.measure, setting, 1, True)
        for kind, terms in cost(setting)._asdict().items():
            for term, value in terms.items():
                counted = mean([each[kind].get(term, 0.0) for each in found])
                ratio = value / counted if counted else float(value == 0)
                rows.append(
                    {
                        **setting._asdict(),
                        'kind': kind,
                        'term': term,
                        'model': value,
                        'counted': counted,
                        'ratio': ratio,
                        'agrees': abs(ratio - 1) <= WITHIN,
                    }
                )
    return rows


# Ten million nodes.


def large(quick: bool) -> list[Row]:
    """Measure 10^6 and 10^7 nodes. A fifth of the interactions crosses owners."""
    rows = []
    for nodes in [10_000] if quick else [10**6, 10**7]:
        setting = Setting(nodes, 5 * nodes, 32, 3, 4096, 32, 4, crossing=0.2, slices=4)
        rows.append(step(setting, 1))
        predicted = cost(setting)
        rows[-1]['model_sent'] = sum(predicted.sent.values())
        rows[-1]['model_memory_mb'] = sum(predicted.memory.values()) / 2**20
    return rows


def mean(values: list[float]) -> float:
    return statistics.fmean(values)


if __name__ == '__main__':
    sys.exit(main())
