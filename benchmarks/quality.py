r"""Trains backbones with alignments over several seeds and tabulates the test metrics.

    python -m benchmarks.quality --dataset synthetic --seeds 0 1 2 3 4
    python -m benchmarks.quality --dataset amazon --root DIR --alignments none
    python -m benchmarks.quality --backbones sgl dccf --epochs 10

Each run has a process of its own, so that its peak memory is its own. Prints a table
for people and writes, with --json, one for machines. On two cores: amazon without text
about 10 minutes per seed, synthetic 5, five backbones for ten epochs an hour.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks import harness
from pyg_irllrec.assemble import build_model
from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.cli.load_dataset import DATASET_NAMES, load_dataset
from pyg_irllrec.cli.run_command import run_command
from pyg_irllrec.cli.training_options import choose_translation, required_texts
from pyg_irllrec.presets import ALIGNMENTS, BACKBONES, VARIANTS, get_preset
from pyg_irllrec.training import InteractionDataModule, fit, fitting_cutoffs

METRICS = ('recall@20', 'ndcg@20')

Row = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    return run_command(lambda: run_all(args))


def run_all(args: argparse.Namespace) -> None:
    rows = []
    runs = product(args.backbones, args.seeds, args.alignments)
    for backbone, seed, alignment in runs:
        with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
            row = pool.submit(run, args, backbone, seed, alignment).result()
        rows.append(row)
        shown = ', '.join(f'{name} {row["test"][name]:.4f}' for name in METRICS)
        print(f'{backbone}, seed {seed}, {alignment}: {shown}', file=sys.stderr)
    print(table(rows, args.backbones, args.alignments, args.seeds))
    if args.json is not None:
        harness.write(args.json, 'quality', rows)


def run(args: argparse.Namespace, backbone: str, seed: int, alignment: str) -> Row:
    texts = required_texts(backbone, alignment)
    data = load_dataset(args.dataset, args.root, texts)
    preset = get_preset(backbone, args.dataset, alignment, args.preset)
    choose_translation(preset, args.translation)
    torch.manual_seed(seed)
    model = build_model(data, backbone, alignment, preset)
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            model,
            InteractionDataModule(data, seed=seed, **preset['data']),
            folder,
            epochs=args.epochs,
            ks=fitting_cutoffs(model.num_items),
            seed=seed,
            device=args.device,
            progress=False,
            **preset['fit'],
        )
    fields = result._asdict()
    del fields['history']
    # What two runs must share to be compared; the settings are those of the row.
    made_from = fields.pop('fingerprint')
    kept = ('version', 'train', 'val', 'test')
    fields['fingerprint'] = {name: made_from[name] for name in kept}
    return {
        'dataset': args.dataset,
        'backbone': backbone,
        'alignment': alignment,
        'seed': seed,
        **fields,
    }


def table(
    rows: Sequence[Row],
    backbones: Sequence[str],
    alignments: Sequence[str],
    seeds: Sequence[int],
) -> str:
    """A line per seed, and the mean of each backbone."""
    by_run = {
        (row['backbone'], row['seed'], row['alignment']): row['test'] for row in rows
    }
    columns = list(product(alignments, METRICS))
    lines = [
        '| backbone | seed | ' + ' | '.join(f'{a} {m}' for a, m in columns) + ' |',
        '|---' * (len(columns) + 2) + '|',
    ]
    for backbone in backbones:
        values = [[by_run[backbone, s, a][m] for a, m in columns] for s in seeds]
        means = [statistics.mean(column) for column in zip(*values)]
        for seed, line in zip([*seeds, 'mean'], [*values, means]):
            numbers = ' | '.join(f'{value:.4f}' for value in line)
            lines.append(f'| {backbone} | {seed} | {numbers} |')
    return '\n'.join(lines)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--dataset', choices=DATASET_NAMES, default='synthetic')
    add('--root', type=Path, metavar='DIR', help="the authors' datasets")
    add('--backbones', nargs='+', choices=tuple(BACKBONES), default=['lightgcn'])
    add('--alignments', nargs='+', choices=ALIGNMENTS, default=['none', 'full'])
    add('--seeds', nargs='+', type=int, default=[0, 1, 2])
    add('--preset', choices=VARIANTS, default='sound')
    add('--translation', choices=('exact', 'moments'), default='exact')
    add('--epochs', type=positive_int, default=1000, help='at most (default: 1000)')
    add('--device', default='auto')
    add('--json', type=Path, metavar='FILE', help='write the rows')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
