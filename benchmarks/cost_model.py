r"""What a step of ShardedLightGCN costs a rank, before anything is run.

    python -m benchmarks.cost_model --nodes 1e8 --edges 5e8 --processes 64

Memory in bytes, bytes that are sent to other ranks, and floating-point operations of
matrix products, float32, with texts of all nodes as negatives and moments, or those of
the batch in a ring. ``python -m benchmarks.distributed model`` compares every term with
what is counted.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import NamedTuple, Optional

FLOAT = 4


class Setting(NamedTuple):
    nodes: float
    """Of all ranks, of which 60 % are users."""
    edges: float
    """Interactions of all ranks."""
    dim: int = 32
    layers: int = 3
    batch: int = 2048
    """Triplets of one rank."""
    text_width: int = 64
    processes: int = 4
    crossing: Optional[float] = None
    """The share of interactions whose user and item have different owners; None for
    owners by chance, the worst case."""
    slices: int = 1
    """Of columns, in which the halo comes."""
    negatives: str = 'all'
    """'all', with moments, or 'batch', in a ring."""


class Cost(NamedTuple):
    memory: dict[str, float]
    """Bytes that a rank holds."""
    sent: dict[str, float]
    """Bytes that it sends in a step."""
    flops: dict[str, float]
    """Floating-point operations of its matrix products in a step."""


def cost(setting: Setting) -> Cost:
    """The cost of a step by term; the peak of memory is the sum of its terms."""
    return Cost(_memory(setting), _sent(setting), _flops(setting))


def halo(s: Setting) -> float:
    """The rows of other ranks that a rank reads in a layer. It has so many edges to so
    many nodes; a node that none of them hits is not read."""
    crossing = 1 - 1 / s.processes if s.crossing is None else s.crossing
    edges = crossing * s.edges / s.processes
    remote = s.nodes * (1 - 1 / s.processes)
    sides = remote * 0.6, remote * 0.4
    return sum(side * -math.expm1(-edges / side) for side in sides if side > 0)


def _memory(s: Setting) -> dict[str, float]:
    n, read = s.nodes / s.processes, halo(s)
    table = n * s.dim * FLOAT
    width = -(-s.dim // s.slices) * FLOAT
    # Features, their sum; the layer before, own and fetched rows, and what is sent or
    # then the next layer.
    before = n if s.layers > 1 else 0
    propagation = 2 * table + width * (before + n + read + max(n, read))
    # Keys, their gradients by side, both in one, and those of the rows of the batch.
    contrast = 4 * table if s.negatives == 'all' else 0.0
    return {
        'embeddings and Adam': 3 * table,
        'texts': n * s.text_width * FLOAT,
        # Columns and values of directed edges, row pointers, scales; rows to send.
        'graph': 16 * s.edges / s.processes + 8 * n + 4 * read,
        'step': max(propagation, contrast),
    }


def _sent(s: Setting) -> dict[str, float]:
    others = 1 - 1 / s.processes
    row = s.dim * FLOAT
    rows = 3 * s.batch * others
    weights = (s.text_width + 1) * s.dim * FLOAT
    if s.negatives == 'all':  # Embeddings and projected texts, there and back.
        looked_up = 4 * row
        moments = (1 + s.dim + s.dim**2) * FLOAT
        contrast = 2 * 2 * 2 * others * moments
    else:  # Texts have no gradient.
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
    args = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults = Setting._field_defaults
    for name in ('nodes', 'edges'):
        args.add_argument(f'--{name}', type=float, required=True)
    for name in ('dim', 'layers', 'batch', 'text-width', 'processes', 'slices'):
        default = defaults[name.replace('-', '_')]
        args.add_argument(f'--{name}', type=int, default=default)
    args.add_argument('--crossing', type=float)
    args.add_argument('--negatives', choices=('all', 'batch'), default='all')
    setting = Setting(**vars(args.parse_args()))
    for name, terms in cost(setting)._asdict().items():
        unit = 'FLOP' if name == 'flops' else 'B'
        print(f'{name}: {sum(terms.values()) / 1e9:.3g} G{unit}')
        for term, value in terms.items():
            print(f'  {term}: {value / 1e9:.3g} G{unit}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
