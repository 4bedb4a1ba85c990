r"""Mutation testing: check that the tests notice changes of the code.

    python -m benchmarks.mutation --sample 150 --workers 2
    python -m benchmarks.mutation --paths nn/loss utils/checks.py
    python -m benchmarks.mutation --again
    python -m benchmarks.mutation --recount

A mutant changes one expression or statement of the package. The tests that execute this
line must fail; otherwise the mutant survives. Without --sample all mutants are tried,
which takes hours. Everything runs in a copy of the tree. The results are written to
benchmarks/results/mutation.json. There, each survivor has a verdict ('equivalent',
'accepted' or 'open') and a reason, both written by hand. They are kept as long as the
mutant survives. --again tries the last survivors again, and --recount counts again
after the verdicts have changed.

Torch is imported once, and every mutant is tried in a fork of that process. One traced
run of the suite finds the tests that execute each line. The tests of the mutated module
run first, and the first failure ends the trial. Tests beyond --limit seconds are not
run, so that some of the survivors could be killed by the whole suite.

Not mutated: strings, f-strings, docstrings, annotations, decorators, errors and
warnings, assert statements, and Triton kernels.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks._mutant_trials import FOLDERS, ROOT, run_mutants
from benchmarks._mutants import PACKAGE, Mutant, find_mutants
from benchmarks.harness import command, environment

RESULTS = ROOT / 'benchmarks' / 'results' / 'mutation.json'


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--paths', nargs='+', default=list(FOLDERS), metavar='PATH')
    parser.add_argument('--sample', type=int, metavar='N', help='mutants per path')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument(
        '--limit',
        type=float,
        default=20.0,
        metavar='SECONDS',
        help='most seconds of tests per mutant (default: 20)',
    )
    parser.add_argument('--again', action='store_true', help='try the last survivors')
    parser.add_argument('--recount', action='store_true', help='only count verdicts')
    parser.add_argument('--json', type=Path, default=RESULTS, metavar='FILE')
    args = parser.parse_args()
    report = json.loads(args.json.read_text()) if args.json.exists() else {}
    if not args.recount:
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder).resolve()
            copy_tree(tree)
            found = find_mutants(tree, args.paths)
            chosen = choose_mutants(found, report, args)
            mutants = [mutant for each in chosen.values() for mutant in each]
            mutants += controls(mutants, args.seed)
            random.Random(args.seed).shuffle(mutants)
            outcome = run_mutants(tree, mutants, args.workers, args.limit)
        report = merge(report, found, chosen, outcome, args)
    count(report)
    args.json.write_text(json.dumps(report, indent=2) + '\n')
    print(table(report['rows']))
    return 0


def copy_tree(target: Path) -> None:
    r"""Copy the files of the tree that git tracks or would track."""
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.split('\0'):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


def choose_mutants(
    found: dict[str, list[Mutant]], report: dict[str, Any], args: argparse.Namespace
) -> dict[str, list[Mutant]]:
    r"""All mutants, a sample per path, or the last survivors."""
    if args.again:
        keys = {entry['key'] for entry in report['survivors']}
        return {
            path: [mutant for mutant in mutants if mutant.key in keys]
            for path, mutants in found.items()
        }
    if args.sample is None:
        return found
    return {
        path: random.Random(args.seed).sample(mutants, min(args.sample, len(mutants)))
        for path, mutants in found.items()
    }


def controls(mutants: list[Mutant], seed: int) -> list[Mutant]:
    r"""Unchanged copies of one in twenty mutants, all of which must survive."""
    few = random.Random(seed).sample(mutants, -(-len(mutants) // 20))
    return [
        mutant._replace(
            operator='none', before='', after='', end=mutant.start, is_value=False
        )
        for mutant in few
    ]


def merge(
    report: dict[str, Any],
    found: dict[str, list[Mutant]],
    chosen: dict[str, list[Mutant]],
    outcome: dict[Mutant, str],
    args: argparse.Namespace,
) -> dict[str, Any]:
    r"""Merge the new results into the report, and keep earlier verdicts."""
    before = {entry['key']: entry for entry in report.get('survivors', [])}
    rows = {row['path']: row for row in report.get('rows', [])}
    survivors = {
        key: entry
        for key, entry in before.items()
        if not any(_is_in(key, path) for path in chosen)
    }
    for path, mutants in chosen.items():
        tried = rows[path]['tried'] if args.again else len(mutants)
        rows[path] = {'path': path, 'mutants': len(found[path]), 'tried': tried}
        for mutant in mutants:
            if outcome[mutant] == 'survived':
                known = before.get(mutant.key, {})
                survivors[mutant.key] = {
                    'key': mutant.key,
                    'line': mutant.line,
                    'verdict': known.get('verdict', ''),
                    'reason': known.get('reason', ''),
                }
    return {
        'benchmark': 'mutation',
        'command': command(),
        'environment': environment(),
        'seed': args.seed,
        'rows': [rows[path] for path in sorted(rows)],
        'survivors': [survivors[key] for key in sorted(survivors)],
    }


def count(report: dict[str, Any]) -> None:
    r"""Count the survivors of each path by verdict, and the ratio of killed mutants."""
    for row in report['rows']:
        verdicts = Counter(
            entry['verdict']
            for entry in report['survivors']
            if _is_in(entry['key'], row['path'])
        )
        row['survived'] = sum(verdicts.values())
        row['killed'] = row['tried'] - row['survived']
        row['equivalent'] = verdicts['equivalent']
        row['accepted'] = verdicts['accepted']
        row['ratio'] = round(row['killed'] / (row['tried'] - row['equivalent']), 3)


def _is_in(key: str, path: str) -> bool:
    return key.startswith((f'{PACKAGE}/{path}/', f'{PACKAGE}/{path} '))


def table(rows: list[dict[str, Any]]) -> str:
    lines = [list(rows[0]), ['---'] * len(rows[0]), *map(dict.values, rows)]
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)


if __name__ == '__main__':
    sys.exit(main())
