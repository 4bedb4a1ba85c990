r"""Trains examples/irllrec.py over several seeds and tabulates the test metrics.

    python benchmarks/quality.py --dataset synthetic --seeds 0 1 2 3 4
    python benchmarks/quality.py --dataset amazon --root DIR --alignments none
    python benchmarks/quality.py --backbones sgl dccf --epochs 10

Prints a table for people and writes, with --json, one for machines. Arguments that it
does not know go to the example.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from harness import environment

EXAMPLE = Path(__file__).parents[1] / 'examples' / 'irllrec.py'
METRICS = ('recall@20', 'ndcg@20')

Row = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--dataset', default='synthetic')
    parser.add_argument('--backbones', nargs='+', default=['lightgcn'])
    parser.add_argument('--alignments', nargs='+', default=['none', 'full'])
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--json', type=Path, metavar='FILE')
    args, rest = parser.parse_known_args(argv)
    if any(word.split('=')[0] == '--out' for word in rest):
        parser.error('--out is not to be set: the runs are temporary')

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for choice in product(args.backbones, args.seeds, args.alignments):
            backbone, seed, alignment = choice
            options = {
                'dataset': args.dataset,
                'backbone': backbone,
                'alignment': alignment,
                'seed': seed,
            }
            try:
                row = run(options, rest, Path(folder) / f'{len(rows)}')
            except subprocess.CalledProcessError as error:
                return error.returncode  # The example has said why.
            rows.append(row)
            print(f'{backbone}, seed {seed}, {alignment}: {show(row)}', file=sys.stderr)
    print(table(rows, args.backbones, args.alignments, args.seeds))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        report = {
            'benchmark': 'quality',
            'command': command(argv),
            'environment': environment(),
            'rows': rows,
        }
        args.json.write_text(json.dumps(report, indent=2) + '\n')
    return 0


def run(options: dict[str, Any], rest: list[str], out: Path) -> Row:
    arguments = [
        str(x)
        for name, value in {**options, 'out': out}.items()
        for x in (f'--{name}', value)
    ]
    subprocess.run(
        [sys.executable, str(EXAMPLE), '--quiet', *arguments, *rest],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return {**options, **json.loads((out / 'metrics.json').read_text())}


def show(row: Row) -> str:
    return ', '.join(f'{name} {row["test"][name]:.4f}' for name in METRICS)


def table(
    rows: list[Row], backbones: list[str], alignments: list[str], seeds: list[int]
) -> str:
    """A line a seed, and the mean of each backbone."""
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


def command(argv: list[str] | None) -> str:
    """What was called, without the folder of the data on this machine."""
    words = [
        '--root=DIR' if word.startswith('--root=') else word
        for word in (sys.argv[1:] if argv is None else argv)
    ]
    if '--root' in words:
        words[words.index('--root') + 1] = 'DIR'
    return ' '.join(['python benchmarks/quality.py', *words])


if __name__ == '__main__':
    sys.exit(main())
