r"""Draw the cost of a step with sharded tables for one process.

    python -m benchmarks.cost_picture --png benchmarks/results/distributed.png

The lines are from benchmarks.cost_model. The points were measured by
``python -m benchmarks.distributed large``; their memory includes the imports, which the
model leaves out.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use('agg')
from matplotlib import pyplot as plt

from benchmarks.cost_model import Setting, cost

RESULTS = Path(__file__).parent / 'results'
NODES = np.logspace(5, 8.5, 60)
LINES = [
    (4, 0.2, 'C0', '-', '4 processes, a fifth crosses'),
    (4, None, 'C0', '--', '4 processes, random owners'),
    (64, 0.2, 'C1', '-', '64 processes, a fifth crosses'),
    (64, None, 'C1', '--', '64 processes, random owners'),
]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--png', type=Path, required=True, metavar='FILE')
    draw(parser.parse_args().png)
    return 0


def draw(path: Path) -> None:
    rows = json.loads((RESULTS / 'distributed_large.json').read_text())['rows']
    first = rows[0]
    measured = {
        'memory': [row['step_peak_mb'] * 2**20 for row in rows],
        'sent': [row['sent'] for row in rows],
    }
    titles = {
        'memory': 'Memory per process, GB',
        'sent': 'Sent per process and step, GB',
    }
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout='constrained')
    for axis, (kind, title) in zip(axes, titles.items(), strict=True):
        for processes, crossing, color, style, label in LINES:
            values = [
                sum(
                    getattr(
                        cost(setting(first, nodes, processes, crossing)), kind
                    ).values()
                )
                for nodes in NODES
            ]
            axis.loglog(NODES, np.array(values) / 1e9, style, color=color, label=label)
        points = [row['nodes'] for row in rows], np.array(measured[kind]) / 1e9
        axis.plot(*points, 'o', color='C0', label='measured, 4 processes')
        axis.set_title(title)
        axis.set_xlabel('nodes, five interactions per node')
        axis.grid(alpha=0.3)
    axes[1].legend(fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def setting(
    row: dict[str, float], nodes: float, processes: int, crossing: float | None
) -> Setting:
    """The setting of a measured row, with another size."""
    kept = {
        name: row[name] for name in ('dim', 'layers', 'batch', 'text_width', 'slices')
    }
    return Setting(nodes, 5 * nodes, processes=processes, crossing=crossing, **kept)  # type: ignore[arg-type]


if __name__ == '__main__':
    sys.exit(main())
