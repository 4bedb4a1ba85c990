r"""Measure the time and memory of the package against the number of nodes.

    python -m benchmarks.scale --json FILE --png FILE
    python -m benchmarks.scale --device cuda --json FILE --png FILE

The operations compute different things, so no ratios are shown. For each operation the
table has the exponent of N with which time and memory grow, fitted over the largest
decade and a half. Users are 60 % of the nodes, and there are 20 interactions per node.
Writes the rows (--json) and the curves (--png). Takes about 20 minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor

from benchmarks import harness
from benchmarks.graphs import Interactions
from benchmarks.harness import Case, Job, Peer
from pyg_irllrec.functional import info_nce, intent_propagate, propagate
from pyg_irllrec.nn import IntentAlignmentLoss, IRLLRec, LightGCN
from pyg_irllrec.training import TripletLoader
from pyg_irllrec.utils import UserItems, bipartite_edge_index, symmetric_norm
from pyg_irllrec.utils.adjacency import narrow_ids
from pyg_irllrec.utils.optional import import_optional

Step = Callable[[], object]
Points = list[tuple[int, float]]

EXACT = 'info_nce, exact'
BATCH = 4096
# Each measure with its key in a row and its unit.
MEASURES = {'time': ('seconds', 's'), 'extra memory': ('extra_mb', 'MB')}
# Less extra memory than this is noise of the allocator.
LEAST_MB = 1.0


def interactions(num_nodes: int, device: torch.device) -> Interactions:
    """Random pairs of uniform users and long-tailed items, with a few duplicates."""
    generator = torch.Generator().manual_seed(0)
    num_users = num_nodes * 6 // 10
    num_items = num_nodes - num_users
    user, item = torch.rand(2, 20 * num_nodes, dtype=torch.float64, generator=generator)
    pairs = torch.stack([user * num_users, item.square() * num_items]).long()
    return Interactions(pairs.to(device), num_users, num_items)


def rows(num_nodes: int, dim: int, device: torch.device, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_nodes, dim, generator=generator).to(device)


def contrast(impl: str) -> Callable[[int, torch.device], Step]:
    def ready(num_nodes: int, device: torch.device) -> Step:
        query, key = (
            rows(num_nodes, 64, device, seed).requires_grad_() for seed in range(2)
        )

        def step() -> object:
            return torch.autograd.grad(info_nce(query, key, impl=impl), [query, key])

        return step

    return ready


def convolution(intents: bool) -> Callable[[int, torch.device], Step]:
    def ready(num_nodes: int, device: torch.device) -> Step:
        graph = bipartite_edge_index(*interactions(num_nodes, device))
        weight = symmetric_norm(graph, num_nodes)
        graph = narrow_ids(graph)
        x, intent = (
            rows(num_nodes, 32, device, seed).requires_grad_() for seed in range(2)
        )
        upstream = rows(num_nodes, 32, device, seed=2)

        def step() -> object:
            if intents:
                out = intent_propagate(x, intent, graph)
                return torch.autograd.grad(out, [x, intent], upstream)
            return torch.autograd.grad(propagate(x, graph, weight), x, upstream)

        return step

    return ready


def epoch_of_triplets(num_nodes: int, device: torch.device) -> Step:
    loader = TripletLoader(UserItems(*interactions(num_nodes, device)), BATCH)
    return lambda: sum(1 for _ in loader)


def graph_building(num_nodes: int, device: torch.device) -> Step:
    data = interactions(num_nodes, device)
    return lambda: narrow_ids(bipartite_edge_index(*data))


def training_step(num_nodes: int, device: torch.device) -> Step:
    data = interactions(num_nodes, device)
    profile, intent = (rows(num_nodes, 64, device, seed) for seed in range(2))
    model = IRLLRec(
        LightGCN(data.num_users, data.num_items, 32, num_intents=32),
        bipartite_edge_index(*data),
        profile=profile,
        intent=intent,
        alignment=IntentAlignmentLoss(translation_impl='moments'),
    ).to(device)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(weights, fused=True)
    # Interactions are in random order, so the first are a random batch.
    user, item = data.pairs[:, :BATCH]
    triplets = torch.stack([user, item, item.flip(0)])

    def step() -> None:
        optimizer.zero_grad()
        model.loss(triplets).total.backward()
        optimizer.step()

    return step


OPERATIONS: dict[str, Callable[[int, torch.device], Step]] = {
    EXACT: contrast('chunked'),
    'info_nce, moments': contrast('moments'),
    'intent_propagate': convolution(intents=True),
    'propagate': convolution(intents=False),
    'epoch of triplets': epoch_of_triplets,
    'training step': training_step,
    'building the graph': graph_building,
}


def prepare(
    case: str, impl: str, device: torch.device, args: argparse.Namespace
) -> Job:
    ready = OPERATIONS[impl]
    # The first call loads libraries, whose memory must not count.
    ready(1000, device)()
    step = ready(int(case.rpartition('n=')[2]), device)

    def silent() -> harness.Values:
        step()
        return {}

    return Job(silent)


def main() -> int:
    args = arguments()
    if not harness.has_device(args.device):
        return 2
    measured: list[dict[str, Any]] = []
    for num_nodes in sizes(args.largest, args.steps):
        for name in OPERATIONS:
            if name == EXACT and num_nodes > args.largest_exact:
                continue
            # One case per operation: nothing is compared, and only one graph is in
            # memory at a time.
            peers = [Peer(name, None)]
            case = Case(f'{name}, n={num_nodes}', peers, repeats(name, num_nodes))
            for row in harness.run_case(case, prepare, args):
                measured.append(row | {'nodes': num_nodes})
            if args.json is not None:  # A run that is stopped keeps its rows.
                harness.write(args.json, 'scale', measured)
    print(table(measured))
    if args.png is not None:
        draw(measured, args.png)
    return 0


def arguments() -> argparse.Namespace:
    parser = harness.parser(__doc__)
    parser.add_argument('--png', type=Path, metavar='FILE', help='draw the curves')
    parser.add_argument('--steps', type=int, default=2, help='sizes per decade')
    parser.add_argument(
        '--largest', type=int, default=1_000_000, metavar='N', help='most nodes'
    )
    parser.add_argument(
        '--largest-exact',
        type=int,
        default=100_000,
        metavar='N',
        help='most nodes for the exact InfoNCE, whose time grows with N^2',
    )
    args = parser.parse_args()
    if args.quick:
        args.largest = min(args.largest, 10_000)
        args.largest_exact = min(args.largest_exact, 3_200)
    return args


def sizes(largest: int, steps: int) -> list[int]:
    """Numbers of nodes from 1000 on, :obj:`steps` per decade."""
    powers = (3 + step / steps for step in range(8 * steps))
    return [size for power in powers if (size := round(10**power)) <= largest]


def repeats(name: str, num_nodes: int) -> int:
    if num_nodes < 100_000:
        return 5
    return 1 if name == EXACT or num_nodes > 300_000 else 3


def points(measured: list[dict[str, Any]], name: str, measure: str) -> Points:
    key, _ = MEASURES[measure]
    least = LEAST_MB if key == 'extra_mb' else 0.0
    return [
        (row['nodes'], row[key])
        for row in measured
        if row['impl'] == name and row[key] > least
    ]


def exponent(curve: Points) -> Optional[float]:
    """The slope of log(value) over log(N) in the largest decade and a half."""
    largest = max((size for size, _ in curve), default=0)
    part = [(size, value) for size, value in curve if size > 0.99 * largest / 10**1.5]
    if len(part) < 2:
        return None
    return float(np.polyfit(*np.log(part).T, 1)[0])


def table(measured: list[dict[str, Any]]) -> str:
    """A Markdown table: one operation per row, one number of nodes per column."""
    every = sorted({row['nodes'] for row in measured})
    at = {(row['impl'], row['nodes']): row for row in measured}
    lines = [
        '| operation | time ~ | memory ~ |' + ''.join(f' {n} |' for n in every),
        '|---' * (3 + len(every)) + '|',
    ]
    for name in OPERATIONS:
        grows = (exponent(points(measured, name, measure)) for measure in MEASURES)
        cells = [name, *('' if e is None else f'N^{e:.2f}' for e in grows)]
        for size in every:
            row = at.get((name, size))
            cells.append(
                f'{row["seconds"]:.3g} s, {row["extra_mb"]:.0f} MB' if row else ''
            )
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def draw(measured: list[dict[str, Any]], path: Path) -> None:
    figures = import_optional('matplotlib.figure', '--png', 'plot')
    figure = figures.Figure(figsize=(12, 5), layout='constrained')
    for axes, measure in zip(figure.subplots(1, 2), MEASURES):
        panel(axes, measured, measure)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc='outside lower center', ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def panel(axes: Any, measured: list[dict[str, Any]], measure: str) -> None:
    curves = {name: points(measured, name, measure) for name in OPERATIONS}
    for number, (name, curve) in enumerate(curves.items()):
        axes.loglog(
            [size for size, _ in curve],
            [value for _, value in curve],
            color=f'C{number}',
            marker='o',
            markersize=4,
            linewidth=2.5 if name == 'training step' else 1.5,
            linestyle='--' if name == EXACT else '-',
            label=name,
        )
    slopes(axes)
    _, unit = MEASURES[measure]
    axes.set_xlabel('nodes N')
    axes.set_ylabel(f'{measure} [{unit}]')
    axes.set_title(measure.capitalize(), fontsize=11)
    axes.grid(alpha=0.25)


def slopes(axes: Any) -> None:
    """Draw lines that grow with N and N^2 from the lower left corner."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for slope, name in ((1, 'N'), (2, 'N²')):
        end = min(right, left * (high / low) ** (1 / slope))
        top = low * (end / left) ** slope
        axes.plot([left, end], [low, top], color='0.6', linewidth=0.8, zorder=0)
        axes.annotate(
            name,
            (end, top),
            xytext=(-14, -14),
            textcoords='offset points',
            ha='center',
            va='center',
            color='0.4',
            zorder=1,
            bbox={'boxstyle': 'circle,pad=0.1', 'fc': 'white', 'ec': 'none'},
        )
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)


if __name__ == '__main__':
    sys.exit(main())
