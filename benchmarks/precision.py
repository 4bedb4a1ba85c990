r"""Measure how much Recall and NDCG lower precisions cost.

    python -m benchmarks.precision --seeds 0 1 2 3 4

Trains LightGCN with full alignment on the embedded dataset in each precision, and with
texts stored in bfloat16. With the same seed, all runs start from the same weights and
see the same batches. The cost of a precision is the mean difference to float32 over
the seeds; compare it with the standard deviation over the seeds. TensorFloat-32 runs
on a GPU only. Takes ten minutes on one core.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData

from benchmarks import harness
from pyg_irllrec.assemble import build_model
from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.cli.run_command import run_command
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.presets import get_preset
from pyg_irllrec.training import InteractionDataModule, fit

EXACT = '32-true'
ARMS = {
    EXACT: (EXACT, 'device'),
    'tf32': ('tf32', 'device'),
    'bf16-mixed': ('bf16-mixed', 'device'),
    "32-true, text_storage='half'": (EXACT, 'half'),
}
"""The precision and the storage of texts of each arm."""

Row = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return run_command(lambda: run_all(args))


def run_all(args: argparse.Namespace) -> None:
    data = SyntheticIntents()[0]
    rows = []
    for seed in args.seeds:
        for arm in ARMS:
            if arm != 'tf32' or args.device == 'cuda':
                rows.append(run(arm, data, seed, args))
                print(rows[-1], file=sys.stderr, flush=True)
    print(table(rows))
    if args.json is not None:
        harness.write(args.json, 'precision', rows)


def run(arm: str, data: HeteroData, seed: int, args: argparse.Namespace) -> Row:
    precision, text_storage = ARMS[arm]
    preset = get_preset('lightgcn', 'own', 'full')
    preset['model'] = {**preset['model'], 'text_storage': text_storage}
    torch.manual_seed(seed)
    model = build_model(data, alignment='full', preset=preset)
    module = InteractionDataModule(data, **{**preset['data'], 'seed': seed})
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            model,
            module,
            Path(folder) / 'run',
            epochs=args.epochs,
            lr=args.lr,
            check_every=5,
            ks=(20,),
            seed=seed,
            device=args.device,
            precision=precision,
            progress=False,
        )
    return {
        'arm': arm,
        'seed': seed,
        'best_epoch': result.best_epoch,
        **result.test,
    }


def table(rows: Sequence[Row]) -> str:
    """Recall and NDCG of each arm with deviations, and differences to float32."""
    lines = [
        '| | Recall@20 | minus 32-true | NDCG@20 | minus 32-true |',
        '|---' * 5 + '|',
    ]
    exact = {row['seed']: row for row in rows if row['arm'] == EXACT}
    for arm in dict.fromkeys(row['arm'] for row in rows):
        mine = [row for row in rows if row['arm'] == arm]
        cells = []
        for name in ('recall@20', 'ndcg@20'):
            values = [row[name] for row in mine]
            noise = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f'{statistics.mean(values):.4f} ± {noise:.4f}')
            gaps = [row[name] - exact[row['seed']][name] for row in mine]
            cells.append('' if arm == EXACT else f'{statistics.mean(gaps):+.4f}')
        lines.append(f'| `{arm}` | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--seeds', nargs='+', type=int, default=[0, 1, 2, 3, 4])
    add('--epochs', type=positive_int, default=40, help='most epochs (default: 40)')
    add('--lr', type=float, default=5e-3)
    add('--device', choices=('cpu', 'cuda'), default='cpu')
    add('--json', type=Path, metavar='FILE', help='write the rows here')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
