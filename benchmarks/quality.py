r"""Trains examples/irllrec.py over several seeds and tabulates the test metrics.

    python benchmarks/quality.py --dataset synthetic --seeds 0 1 2 3 4
    python benchmarks/quality.py --dataset amazon --root DIR --alignments none

Prints a table for people and writes, with --json, one for machines. Arguments that it
does not know go to the example.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import torch
import torch_geometric

EXAMPLE = Path(__file__).parents[1] / 'examples' / 'irllrec.py'
METRICS = ('recall@20', 'ndcg@20')


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--dataset', default='synthetic')
    parser.add_argument('--alignments', nargs='+', default=['none', 'full'])
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--json', type=Path, metavar='FILE')
    args, rest = parser.parse_known_args(argv)
    if any(word.split('=')[0] == '--out' for word in rest):
        parser.error('--out is not to be set: the runs are temporary')

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in args.seeds:
            for alignment in args.alignments:
                try:
                    row = run(args.dataset, alignment, seed, rest, Path(folder))
                except subprocess.CalledProcessError as error:
                    return error.returncode  # The example has said why.
                rows.append(row)
                print(f'seed {seed}, {alignment}: {show(row)}', file=sys.stderr)
    print(table(rows, args.alignments, args.seeds))
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


def run(
    dataset: str, alignment: str, seed: int, rest: list[str], folder: Path
) -> dict[str, object]:
    out = folder / f'{alignment}-{seed}'
    options = {'dataset': dataset, 'alignment': alignment, 'seed': seed, 'out': out}
    arguments = [
        str(x) for name, value in options.items() for x in (f'--{name}', value)
    ]
    subprocess.run(
        [sys.executable, str(EXAMPLE), '--quiet', *arguments, *rest],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    metrics = json.loads((out / 'metrics.json').read_text())
    return {'dataset': dataset, 'alignment': alignment, 'seed': seed, **metrics}


def show(row: dict) -> str:
    return ', '.join(f'{name} {row["test"][name]:.4f}' for name in METRICS)


def table(rows: list[dict], alignments: list[str], seeds: list[int]) -> str:
    by_run = {(row['alignment'], row['seed']): row['test'] for row in rows}
    columns = [(alignment, metric) for alignment in alignments for metric in METRICS]
    lines = [
        '| seed | ' + ' | '.join(f'{a} {m}' for a, m in columns) + ' |',
        '|---' * (len(columns) + 1) + '|',
    ]
    for seed in seeds:
        values = ' | '.join(f'{by_run[a, seed][m]:.4f}' for a, m in columns)
        lines.append(f'| {seed} | {values} |')
    means = (
        statistics.mean(by_run[alignment, seed][metric] for seed in seeds)
        for alignment, metric in columns
    )
    lines.append('| mean | ' + ' | '.join(f'{mean:.4f}' for mean in means) + ' |')
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


def environment() -> dict[str, object]:
    return {
        'date': date.today().isoformat(),
        'python': platform.python_version(),
        'torch': torch.__version__,
        'torch_geometric': torch_geometric.__version__,
        'threads': torch.get_num_threads(),
        'machine': platform.machine(),
    }


if __name__ == '__main__':
    sys.exit(main())
