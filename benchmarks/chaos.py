r"""Kills, fills the disk, takes the right to write, starts twice, tears and flips: each
job ends like an undisturbed run, or with one line that names the file and the cause.

    python -m benchmarks.chaos --json FILE
    python -m benchmarks.chaos --job training --fault 'killed at random' --trials 200

Jobs: training, extraction of intents, encoding of texts, building a dataset, saving
over earlier files, and examples/own_data.py from a table to recommendations. Each runs
in forked processes; after a fault it is called again as a user would call it, and all
that it leaves is compared bit by bit (weights, optimizer, history, metrics, records,
vectors, arrays, recommendations; no dates, times or peaks of memory).

    equal    it ended like an undisturbed run
    refused  one clear line; without the fault, it then ended like an undisturbed run
    UNCLEAR  another error than one line with the file and the cause
    LOST     the next run did not come to an end
    WRONG    another result without a word

Full disks and read-only folders are real where file systems may be mounted (by root, or
in a namespace of users), and simulated before each change of a file everywhere. Linux.
About 3 000 trials, 20 minutes on two cores.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import harness
from benchmarks._chaos_disk import Mounts, Plan
from benchmarks._chaos_jobs import JOBS, Job
from benchmarks._chaos_trial import Attempt, Place, look, start

VERDICTS = ('equal', 'refused', 'UNCLEAR', 'LOST', 'WRONG')
ROOM, PLENTY = 1 << 30, 1 << 26
PAGE = 4096
BINARY = ('.ckpt', '.npz', '.sqlite', '.arrow', '.npy', '.jsonl')


class Outcome(NamedTuple):
    verdict: str
    note: str = ''
    kills: int = 0
    leftovers: int = 0
    """Files that an undisturbed run does not leave."""


class Lab:
    """Where a job is disturbed, and what it leaves undisturbed."""

    def __init__(
        self,
        job: Job,
        root: Path,
        trials: int,
        seed: int,
        mounts: Mounts,
        every: bool = False,
    ) -> None:
        self.job = job
        self.root = root / job.name
        self.trials = trials
        self.random = random.Random(f'{seed} {job.name}')
        self.mounts = mounts
        self.every = every
        self._count = 0
        inputs = self.root / 'inputs'
        inputs.mkdir(parents=True)
        job.prepare(inputs)
        self.place = Place(inputs, inputs)
        place = self.new_place()
        self.earlier = [attempt.parts for attempt in look(job, place)]
        calm = self.undisturbed(place)
        self.parts, self.changes = calm.parts, calm.changes
        self.files = files_of(place.folder)
        self.finished = place.folder
        # The first one may read modules and files for the machine.
        again = [self.undisturbed(self.new_place()) for _ in range(2)]
        self.seconds = min(attempt.seconds for attempt in again)
        self.other = self.undisturbed(self.new_place(), resume=False).parts

    def undisturbed(self, place: Place, resume: bool = True) -> Attempt:
        attempt = start(self.job, place, resume=resume).end()
        if attempt.status != 'done':
            raise RuntimeError(f'{self.job.name} undisturbed: {attempt.note(place)}')
        return attempt

    def new_place(self, mounted: int = 0) -> Place:
        self._count += 1
        folder = self.root / str(self._count)
        folder.mkdir()
        if mounted:
            self.mounts.add(folder, mounted)
        place = self.place._replace(folder=folder)
        self.job.begin(place.inputs, folder)
        return place

    def forget(self, place: Place, mounted: bool = False) -> None:
        if mounted:
            self.mounts.remove(place.folder)
        shutil.rmtree(place.folder)

    def settle(self, place: Place, attempt: Attempt | None = None) -> Outcome:
        """Runs the job again, after an attempt that was disturbed."""
        if attempt is not None and attempt.status == 'done':
            if changed := self.differences(attempt):
                return Outcome('WRONG', f'{changed} in the disturbed run')
        again = start(self.job, place).end()
        if again.status != 'done':
            return Outcome('LOST', again.note(place))
        if changed := self.differences(again):
            return Outcome('WRONG', changed)
        left = len(files_of(place.folder) - self.files)
        return Outcome('equal', leftovers=left)

    def judge(self, place: Place, attempt: Attempt, fault: str = '') -> Outcome:
        """The outcome after a fault of the disk that is over by now."""
        outcome = self.settle(place, attempt)
        if outcome.verdict != 'equal' or attempt.status == 'done':
            return outcome
        clear = attempt.refuses(place, fault)
        verdict = 'refused' if clear else 'UNCLEAR'
        return outcome._replace(verdict=verdict, note=attempt.note(place))

    def differences(self, attempt: Attempt) -> str:
        names = [k for k, v in self.parts.items() if attempt.parts.get(k) != v]
        return f'{", ".join(names)} differ' if names else ''

    def each_change(self) -> list[int]:
        """The numbers of all changes, or of as many as there are trials."""
        number = len(self.changes)
        return list(range(number)) if self.every else self.some(number)

    def some(self, number: int) -> list[int]:
        """Numbers below one: all of them, or one by chance of each part as long."""
        trials = min(number, self.trials)
        ends = [k * number // trials for k in range(trials + 1)]
        return [self.random.randrange(*part) for part in pairwise(ends)]


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob('*')}


Fault = Callable[[Lab], Iterator[Outcome]]


def killed_at_random(lab: Lab) -> Iterator[Outcome]:
    """SIGKILL at a random moment after the first change, up to three times in a row."""
    for _ in range(lab.trials):
        place, kills, wanted = lab.new_place(), 0, lab.random.choice((1, 1, 2, 3))
        broken = ''
        for _ in range(3 * wanted):
            after = lab.random.uniform(0, lab.seconds)
            attempt = start(lab.job, place).end(kill_after=after)
            if attempt.status == 'killed':
                kills += 1
                broken = broken or half(lab, place)
            elif attempt.status != 'done':
                broken = broken or attempt.note(place)
            if kills == wanted or broken:
                break
            if attempt.status == 'done':  # Faster than it was: from the start.
                lab.forget(place)
                place = lab.new_place()
        yield finish(lab, place, kills, broken)


def killed_before_each_change(lab: Lab) -> Iterator[Outcome]:
    """SIGKILL right before each open, write, fsync, rename, statement ..."""
    for at in lab.each_change():
        place = lab.new_place()
        attempt = start(lab.job, place, Plan('kill', at)).end()
        killed = attempt.status == 'killed'
        yield finish(lab, place, int(killed), half(lab, place) if killed else '')


def half(lab: Lab, place: Place) -> str:
    """What a reader takes for whole that is neither the earlier nor the new version.
    Only where a job replaces files is it known which versions there are."""
    if not any(lab.earlier):
        return ''
    for before, attempt in zip(lab.earlier, look(lab.job, place)):
        new = all(lab.parts[name] == value for name, value in attempt.parts.items())
        if attempt.status == 'done' and attempt.parts != before and not new:
            return f'{", ".join(attempt.parts)} of no version'
        if attempt.status != 'done' and not attempt.refuses(place):
            return attempt.note(place)
    return ''


def finish(lab: Lab, place: Place, kills: int, broken: str) -> Outcome:
    outcome = Outcome('WRONG', broken) if broken else lab.settle(place)
    lab.forget(place)
    return outcome._replace(kills=kills)


def full_at_each_change(lab: Lab) -> Iterator[Outcome]:
    """No space left from some change on."""
    yield from fail_at_each_change(lab, 'full')


def read_only_at_each_change(lab: Lab) -> Iterator[Outcome]:
    """Nothing can be written from some change on."""
    yield from fail_at_each_change(lab, 'read-only')


def fail_at_each_change(lab: Lab, fault: str) -> Iterator[Outcome]:
    for at in lab.each_change():
        place = lab.new_place()
        attempt = start(lab.job, place, Plan(fault, at)).end()
        yield lab.judge(place, attempt, fault)
        lab.forget(place)


def limited_files(lab: Lab) -> Iterator[Outcome]:
    """No file grows beyond some size, also of those that are written in C."""
    largest = max(path.stat().st_size for path in lab.finished.rglob('*'))
    for _ in range(lab.trials):
        place = lab.new_place()
        limit = int(largest ** lab.random.uniform(0, 1))
        attempt = start(lab.job, place, limit=limit).end()
        yield lab.judge(place, attempt, 'full')
        lab.forget(place)


def full_disk(lab: Lab) -> Iterator[Outcome]:
    """A file system with some pages left."""
    used = sum(-(-path.stat().st_size // PAGE) for path in lab.finished.rglob('*'))
    for pages in lab.some(2 * used + 2):
        place = lab.new_place(mounted=PLENTY)
        stat = shutil.disk_usage(place.folder)
        lab.mounts.resize(place.folder, stat.used + (1 + pages) * PAGE)
        attempt = start(lab.job, place).end()
        lab.mounts.resize(place.folder, PLENTY)
        yield lab.judge(place, attempt, 'full')
        lab.forget(place, mounted=True)


def read_only_disk(lab: Lab) -> Iterator[Outcome]:
    """A read-only file system with nothing, half of a run, or a whole run."""
    for trial in range(lab.trials):
        place = lab.new_place(mounted=PLENTY)
        kills = 0
        if trial % 3:
            after = lab.random.uniform(0, lab.seconds) if trial % 3 == 1 else None
            kills = start(lab.job, place).end(after).status == 'killed'
        lab.mounts.lock(place.folder)
        read = look(lab.job, place)
        attempt = start(lab.job, place).end()
        lab.mounts.lock(place.folder, locked=False)
        outcome = lab.judge(place, attempt, 'read-only')
        if trial % 3 == 2 and any(each.status != 'done' for each in read):
            notes = [each.note(place) for each in read]
            outcome = Outcome('LOST', f'a whole run cannot be read: {notes}')
        yield outcome._replace(kills=int(kills))
        lab.forget(place, mounted=True)


def two_processes(lab: Lab) -> Iterator[Outcome]:
    """Another process begins while the first is held before some change; every second
    one does not ask to resume."""
    for trial, at in enumerate(lab.some(len(lab.changes))):
        place = lab.new_place()
        one = start(lab.job, place, Plan('stop', at))
        stopped = one.stopped()
        two = start(lab.job, place, resume=trial % 2 == 0)
        two.ended_within(2.0 + 10 * lab.seconds)  # Or it waits.
        if stopped:
            one.go_on()
        first, second = one.end(), two.end()
        yield judge_two(lab, place, first, second)
        for path in place.folder.parent.glob(f'{place.folder.name}.*'):
            shutil.rmtree(path)
        lab.forget(place)


def judge_two(lab: Lab, place: Place, first: Attempt, second: Attempt) -> Outcome:
    """Where two processes may write, what is there is of one of them, or refused."""
    outcome = Outcome('equal')
    for name, attempt in (('first', first), ('second', second)):
        if attempt.status == 'done':
            continue
        # Two files of two versions, which a reader refuses, or a second run.
        clear = name == 'second' or 'does not match' in attempt.line
        verdict = 'refused' if clear and attempt.refuses(place) else 'UNCLEAR'
        outcome = Outcome(verdict, f'the {name}: {attempt.note(place)}')
        if verdict == 'UNCLEAR':
            return outcome
    for attempt in (first, second, *look(lab.job, place)):
        if attempt.status != 'done' and not attempt.refuses(place):
            return Outcome('UNCLEAR', attempt.note(place))
        for part, value in attempt.parts.items():
            if value not in (lab.parts[part], lab.other[part]):
                return Outcome('WRONG', f'{part} of no version')
    settled = lab.settle(place)
    return outcome if settled.verdict == 'equal' else settled


def torn(lab: Lab) -> Iterator[Outcome]:
    """A file of a finished run is cut somewhere."""
    yield from damaged(lab, ('',), lambda data, at: data[:at])


def flipped(lab: Lab) -> Iterator[Outcome]:
    """A bit of a binary file of a finished run is another."""

    def flip(data: bytes, at: int) -> bytes:
        bit = 1 << lab.random.randrange(8)
        return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]

    yield from damaged(lab, BINARY, flip)


def damaged(
    lab: Lab, endings: tuple[str, ...], change: Callable[[bytes, int], bytes]
) -> Iterator[Outcome]:
    names = [
        name
        for name in sorted(lab.files)
        if name.endswith(endings) and (lab.finished / name).is_file()
    ]
    for trial in range(lab.trials if names else 0):
        place = lab.new_place()
        shutil.rmtree(place.folder)
        shutil.copytree(lab.finished, place.folder)
        path = place.folder / names[trial % len(names)]
        data = path.read_bytes()
        path.write_bytes(change(data, lab.random.randrange(len(data))))
        attempts = [*look(lab.job, place), start(lab.job, place).end()]
        outcome = Outcome('equal')
        for attempt in attempts:
            if attempt.status != 'done':
                verdict = 'refused' if attempt.refuses(place) else 'UNCLEAR'
                outcome = Outcome(verdict, f'{path.name}: {attempt.note(place)}')
            elif not attempt.parts.items() <= lab.parts.items():
                names_ = [k for k, v in attempt.parts.items() if lab.parts[k] != v]
                outcome = Outcome('WRONG', f'{path.name}: {names_} differ')
            if outcome.verdict in ('UNCLEAR', 'WRONG'):
                break
        yield outcome
        lab.forget(place)


def torn_tables(lab: Lab) -> Iterator[Outcome]:
    """A table that a job reads ends in the middle of a line."""
    inputs = lab.place.inputs
    names = sorted(path.name for path in inputs.iterdir())
    for trial in range(lab.trials if names else 0):
        place = lab.new_place()
        place = place._replace(inputs=place.folder.with_name('torn'))
        shutil.copytree(inputs, place.inputs)
        path = place.inputs / names[trial % len(names)]
        data = path.read_bytes()
        cut = data[: lab.random.randrange(len(data))]
        path.write_bytes(cut)
        attempt = start(lab.job, place).end()
        if attempt.status == 'done':
            # A last line break may be missing, a cell may not.
            header, last = data.split(b'\n')[0], cut.split(b'\n')[-1]
            whole = last == b'' or last.count(b',') == header.count(b',')
            outcome = Outcome('equal' if whole else 'WRONG', f'{path.name}: {last!r}')
        else:
            clear = attempt.refuses(place) and path.name in attempt.line
            outcome = Outcome('refused' if clear else 'UNCLEAR', attempt.note(place))
        yield outcome
        shutil.rmtree(place.inputs)
        lab.forget(place)


FAULTS: dict[str, Fault] = {
    'killed at random': killed_at_random,
    'killed before each change': killed_before_each_change,
    'full from each change on': full_at_each_change,
    'files cannot grow': limited_files,
    'full disk': full_disk,
    'read-only from each change on': read_only_at_each_change,
    'read-only disk': read_only_disk,
    'two processes': two_processes,
    'torn file': torn,
    'flipped bit': flipped,
    'torn table': torn_tables,
}
MOUNTED = (full_disk, read_only_disk)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    if threading.active_count() > 1:
        raise RuntimeError('processes are forked from one without threads')
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        mounts = Mounts()
        try:
            mounts.unshare()
            mounts.add(Path(folder), ROOM)  # In memory, where flushing takes no time.
        except OSError as error:
            print(f'no file systems of our own ({error}): two faults are left out')
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
    lab = Lab(job, folder, trials, args.seed, mounts, every=not args.quick)
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
        help='per job and fault, beside those at each change (default: 20)',
    )
    add('--seed', type=int, default=0)
    add('--quick', action='store_true', help='one trial each: does it run at all?')
    add('--json', type=Path, metavar='FILE')
    return parser.parse_args(argv)


if __name__ == '__main__':
    sys.exit(main())
