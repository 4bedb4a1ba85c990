r"""Predict the cost of a step of ShardedLightGCN for one rank.

    python -m benchmarks.cost_model --nodes 1e8 --edges 5e8 --processes 64

Prints the memory, the bytes sent to other ranks, and the floating-point operations of
matrix products, by term, in float32. Negatives are the texts of all nodes (by moments)
or those of the batch (in a ring). ``python -m benchmarks.distributed model`` compares
every term with a count.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import NamedTuple, Optional

FLOAT = 4


class Setting(NamedTuple):
    nodes: float
    """Nodes of all ranks; 60 % of them are users."""
    edges: float
    """Interactions of all ranks."""
    dim: int = 32
    layers: int = 3
    batch: int = 2048
    """Triplets of one rank."""
    text_width: int = 64
    processes: int = 4
    crossing: Optional[float] = None
    """The share of interactions whose user and item have different owners. None for
    random owners, the worst case."""
    slices: int = 1
    """Slices of columns in which the halo is exchanged."""
    negatives: str = 'all'
    """'all' (by moments) or 'batch' (in a ring)."""


class Cost(NamedTuple):
    memory: dict[str, float]
    """Bytes in the memory of a rank."""
    sent: dict[str, float]
    """Bytes that a rank sends per step."""
    flops: dict[str, float]
    """Floating-point operations of a rank's matrix products per step."""


def cost(setting: Setting) -> Cost:
    """The cost of a step by term. The peak memory is the sum of its terms."""
    return Cost(_memory(setting), _sent(setting), _flops(setting))


def halo(s: Setting) -> float:
    """The expected number of rows of other ranks that a rank reads per layer: the
    remote nodes that at least one of its edges hits."""
    crossing = 1 - 1 / s.processes if s.crossing is None else s.crossing
    edges = crossing * s.edges / s.processes
    remote = s.nodes * (1 - 1 / s.processes)
    sides = remote * 0.6, remote * 0.4
    return sum(side * -math.expm1(-edges / side) for side in sides if side > 0)


def _memory(s: Setting) -> dict[str, float]:
    n, read = s.nodes / s.processes, halo(s)
    table = n * s.dim * FLOAT
    width = -(-s.dim // s.slices) * FLOAT
    # Features and their sum; then the previous layer, own rows, fetched rows, and
    # either the rows to send or the next layer.
    before = n if s.layers > 1 else 0
    propagation = 2 * table + width * (before + n + read + max(n, read))
    # Keys, their gradients per side and in one table, and those of the batch's rows.
    contrast = 4 * table if s.negatives == 'all' else 0.0
    return {
        'embeddings and Adam': 3 * table,
        'texts': n * s.text_width * FLOAT,
        # Columns and values of directed edges, row pointers and scales, rows to send.
        'graph': 16 * s.edges / s.processes + 8 * n + 4 * read,
        'step': max(propagation, contrast),
    }


def _sent(s: Setting) -> dict[str, float]:
    others = 1 - 1 / s.processes
    row = s.dim * FLOAT
    rows = 3 * s.batch * others
    weights = (s.text_width + 1) * s.dim * FLOAT
    if s.negatives == 'all':  # Embeddings and projected texts, and their gradients.
        looked_up = 4 * row
        moments = (1 + s.dim + s.dim**2) * FLOAT
        contrast = 2 * 2 * 2 * others * moments
    else:  # Embeddings, their gradients, and raw texts, which have no gradient.
        looked_up = 2 * row + s.text_width * FLOAT
        hops = s.processes if s.processes > 1 else 0
        contrast = 2 * hops * s.batch * (3 * s.dim + 3) * FLOAT
    return {
        'halo': 2 * s.layers * halo(s) * row,
        'rows': rows * (8 + looked_up),
        'contrast': contrast,
        'projector': 2 * others * weights,
    }


def _flops(s: Setting) -> dict[str, float]:
    n = s.nodes / s.processes
    if s.negatives == 'all':
        projected = n
        contrast = 2 * 2 * n * s.dim**2 + 2 * s.batch * 3 * 2 * s.dim**2
    else:
        projected = 3 * s.batch
        contrast = 2 * 4 * 2 * s.batch**2 * s.processes * s.dim
    return {
        'propagation': 2 * s.layers * 2 * (2 * s.edges / s.processes) * s.dim,
        'projection': 2 * 2 * projected * s.text_width * s.dim,
        'contrast': contrast,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults = Setting._field_defaults
    for name in ('nodes', 'edges'):
        parser.add_argument(f'--{name}', type=float, required=True)
    for name in ('dim', 'layers', 'batch', 'text-width', 'processes', 'slices'):
        default = defaults[name.replace('-', '_')]
        parser.add_argument(f'--{name}', type=int, default=default)
    parser.add_argument(
        '--crossing',
        type=float,
        metavar='SHARE',
        help='share of interactions between two owners (default: owners are random)',
    )
    parser.add_argument('--negatives', choices=('all', 'batch'), default='all')
    setting = Setting(**vars(parser.parse_args()))
    for name, terms in cost(setting)._asdict().items():
        unit = 'FLOP' if name == 'flops' else 'B'
        print(f'{name}: {sum(terms.values()) / 1e9:.3g} G{unit}')
        for term, value in terms.items():
            print(f'  {term}: {value / 1e9:.3g} G{unit}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
