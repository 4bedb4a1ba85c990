r"""Disturb jobs with crashes and disk faults, and check that they recover.

    python -m benchmarks.chaos --json FILE
    python -m benchmarks.chaos --job training --fault 'killed at random' --trials 200

Jobs: training, extracting intents, encoding texts, building a dataset, saving over
earlier files, and the commands of pyg-irllrec from a table to recommendations.

Faults: kills, full disks, read-only folders, a second process, torn files and flipped
bits. Each job must end like an undisturbed run, or with one line that names the file
and the cause. Jobs run in forked processes. After a fault, the job is started again as
a user would. Its results are then compared bit by bit with those of an undisturbed run,
except dates, times and peak memory. Verdicts:

    equal    the same result as an undisturbed run
    refused  one clear line of error; after the fault, the same result
    UNCLEAR  an error without the file or the cause
    LOST     the next run failed
    WRONG    another result without an error

Full disks and read-only folders are simulated before each change of a file. They are
also real if the process may mount file systems (as root or in a user namespace). Linux
only. About 3 000 trials take an hour on one core; --sample takes half the trials and
20 minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks._chaos_disk import Mounts
from benchmarks._chaos_faults import FAULTS, MOUNTED
from benchmarks._chaos_jobs import JOBS, Job
from benchmarks._chaos_lab import VERDICTS, Lab, Outcome

ROOM = 1 << 30


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    if threading.active_count() > 1:
        raise RuntimeError('forking needs a process without other threads')
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        mounts = Mounts()
        try:
            mounts.unshare()
            mounts.add(Path(folder), ROOM)  # In memory, flushing takes no time.
        except OSError as error:
            print(f'cannot mount file systems ({error}): two faults are left out')
        try:
            for job in JOBS:
                if job.name in args.job:
                    rows += disturb(job, Path(folder), args, mounts)
        finally:
            if mounts.allowed:
                mounts.remove(Path(folder))
    print(table(rows))
    if args.json is not None:
        harness.write(args.json, 'chaos', rows)
    return int(any(row[verdict] for row in rows for verdict in VERDICTS[2:]))


def disturb(
    job: Job, folder: Path, args: argparse.Namespace, mounts: Mounts
) -> list[dict[str, Any]]:
    trials = 1 if args.quick else args.trials
    every = not (args.quick or args.sample)
    lab = Lab(job, folder, trials, args.seed, mounts, every)
    rows = []
    for name in args.fault:
        if not mounts.allowed and FAULTS[name] in MOUNTED:
            continue
        print(f'{job.name}, {name} ...', file=sys.stderr, flush=True)
        row = count(FAULTS[name](lab))
        if row['trials']:
            rows.append({'job': job.name, 'fault': name, **row})
    return rows


def count(outcomes: Iterator[Outcome]) -> dict[str, Any]:
    verdicts: Counter[str] = Counter()
    notes: dict[str, list[str]] = {}
    kills, leftovers = 0, 0
    for outcome in outcomes:
        verdicts[outcome.verdict] += 1
        kills += outcome.kills
        leftovers = max(leftovers, outcome.leftovers)
        if outcome.note:
            known = notes.setdefault(outcome.verdict, [])
            if outcome.note not in known:
                known.append(outcome.note)
            if outcome.verdict in VERDICTS[2:]:
                print(f'  {outcome.verdict}: {outcome.note}', file=sys.stderr)
    return {
        'trials': sum(verdicts.values()),
        'kills': kills,
        **{verdict: verdicts[verdict] for verdict in VERDICTS},
        'most_leftovers': leftovers,
        'examples': {verdict: lines[:3] for verdict, lines in notes.items()},
    }


def table(rows: list[dict[str, Any]]) -> str:
    names = ('job', 'fault', 'trials', 'kills', *VERDICTS, 'most_leftovers')
    lines = [' | '.join(names), '|'.join('---' for _ in names)]
    lines += [' | '.join(str(row[name]) for name in names) for row in rows]
    total = {name: sum(row[name] for row in rows) for name in names[2:-1]}
    most = max((row['most_leftovers'] for row in rows), default=0)
    lines.append(' | '.join(map(str, ('all', '', *total.values(), most))))
    return '\n'.join(f'| {line} |' for line in lines)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [job.name for job in JOBS]
    add = parser.add_argument
    add('--job', nargs='+', choices=names, default=names)
    add('--fault', nargs='+', choices=tuple(FAULTS), default=tuple(FAULTS))
    add(
        '--trials',
        type=int,
        default=20,
        metavar='N',
        help='random trials per job and fault (default: 20)',
    )
    add(
        '--sample',
        action='store_true',
        help='disturb only N changes of a job instead of all',
    )
    add('--seed', type=int, default=0)
    add('--quick', action='store_true', help='one trial each: only check that it runs')
    add('--json', type=Path, metavar='FILE', help='write the rows here')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
