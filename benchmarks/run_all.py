r"""Run every benchmark of speed, one after the other, and keeps their results.

    python -m benchmarks.run_all --root DIR
    python -m benchmarks.run_all --quick --out /tmp/results

With --root, the folder of the authors' datasets, the graphs are real. The rows lie
under benchmarks/results (or --out) as NAME.json, with a suffix for CUDA. About an hour
on two cores: info_nce 20 minutes, scale 20, approximation, intent_propagate and
train_step 5 each, sampling_eval 1. --quick only tries whether all run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# What each takes beside --device and --json: whether a folder of data, a picture.
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
    parser.add_argument('--root', type=Path, metavar='DIR')
    parser.add_argument('--out', type=Path, default=HERE / 'results', metavar='DIR')
    parser.add_argument('--only', nargs='+', choices=tuple(BENCHMARKS), metavar='NAME')
    parser.add_argument('--quick', action='store_true')
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in args.only or BENCHMARKS:
        print(f'## {name}', flush=True)
        if subprocess.run(command(name, args)).returncode != 0:
            failed.append(name)
    if failed:
        print(f'error: failed: {", ".join(failed)}', file=sys.stderr)
    return 1 if failed else 0


def command(name: str, args: argparse.Namespace) -> list[str]:
    stem = name if args.device == 'cpu' else f'{name}_{args.device}'
    words = [sys.executable, '-m', f'benchmarks.{name}', '--device', args.device]
    words += ['--json', str(args.out / f'{stem}.json')]
    takes = BENCHMARKS[name]
    if 'root' in takes and args.root is not None:
        words += ['--root', str(args.root)]
    if 'png' in takes:
        words += ['--png', str(args.out / f'{stem}.png')]
    if args.quick:
        words.append('--quick')
    return words


if __name__ == '__main__':
    sys.exit(main())
