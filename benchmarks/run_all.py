r"""Run all speed benchmarks one after the other and write their results.

    python -m benchmarks.run_all --root DIR
    python -m benchmarks.run_all --quick --out /tmp/results

With --root, the folder of the authors' datasets, the graphs are real; without it they
are random. Each benchmark writes NAME.json (NAME_cuda.json on a GPU) under
benchmarks/results or --out. Takes about an hour on two cores: info_nce and scale
20 minutes each, approximation, intent_propagate and train_step 5 each, and
sampling_eval 1. --quick only checks that all of them run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# The options of each besides --device and --json.
BENCHMARKS = {
    'intent_propagate': ('root',),
    'sampling_eval': ('root',),
    'train_step': ('root',),
    'info_nce': (),
    'scale': ('png',),
    'approximation': ('png',),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument(
        '--root', type=Path, metavar='DIR', help="folder of the authors' datasets"
    )
    parser.add_argument('--out', type=Path, default=HERE / 'results', metavar='DIR')
    parser.add_argument('--only', nargs='+', choices=tuple(BENCHMARKS), metavar='NAME')
    parser.add_argument(
        '--quick', action='store_true', help='small sizes: only check that they run'
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in args.only or BENCHMARKS:
        print(f'## {name}', flush=True)
        if subprocess.run(command(name, args)).returncode != 0:
            failed.append(name)
    if failed:
        print(f'error: these benchmarks failed: {", ".join(failed)}', file=sys.stderr)
    return 1 if failed else 0


def command(name: str, args: argparse.Namespace) -> list[str]:
    stem = name if args.device == 'cpu' else f'{name}_{args.device}'
    words = [sys.executable, '-m', f'benchmarks.{name}', '--device', args.device]
    words += ['--json', str(args.out / f'{stem}.json')]
    options = BENCHMARKS[name]
    if 'root' in options and args.root is not None:
        words += ['--root', str(args.root)]
    if 'png' in options:
        words += ['--png', str(args.out / f'{stem}.png')]
    if args.quick:
        words.append('--quick')
    return words


if __name__ == '__main__':
    sys.exit(main())
