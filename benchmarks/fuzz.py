r"""Knocks on every door that files and answers of others come through.

    python -m benchmarks.fuzz --json benchmarks/results/fuzz.json
    python -m benchmarks.fuzz --door vectors --only 17

Each mutant is a valid file with one to three changes. It is read in a process with a
limit of memory and of time, whose audit hook notices code that is run, processes and
sockets that are opened, and files that are written. A mutant is read, or refused by an
error that the reader documents; all else is a fault: another exception, a changed value
of a file with checksums, a process that dies or hangs, a breach of the hook, and files
that a refusal leaves behind. It exits with 1 if there is one. Needs Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, Optional

from benchmarks._fuzz_doors import DOORS, Door
from benchmarks._fuzz_guard import guarded
from benchmarks._fuzz_mutate import mutate
from benchmarks.harness import write

SECONDS = 10.0
EXTRA_BYTES = 1 << 30
PER_PROCESS = 500


class Verdict(NamedTuple):
    number: int
    verdict: str
    """'read', 'refused' or 'fault'."""
    message: str = ''


class TimeUp(BaseException):
    pass


class Knocker:
    """Try the mutants of one door.

    Args:
        name: The door.
        seed: Which mutants.
        folder: A folder of its own.
    """

    def __init__(self, name: str, seed: int, folder: Path) -> None:
        self.name = name
        self.seed = seed
        self.door: Door = DOORS[name]
        self.folder = folder
        self.original = folder / 'original'
        self.original.mkdir(parents=True)
        files = self.door.make(self.original)
        self.names = [str(path.relative_to(self.original)) for path in files]
        # Modules that are imported late are imported here, without a guard.
        self.expected = repr(self.door.read(self._copy()))

    def try_one(self, number: int) -> Verdict:
        rng = random.Random(f'{self.seed}/{self.name}/{number}')
        folder = self._copy()
        path = folder / rng.choice(self.names)
        content, is_sealed_again = mutate(path.read_bytes(), rng)
        same = self.door.sealed and not is_sealed_again
        path.write_bytes(content)
        if rng.random() < 0.5:
            self.door.seal(folder)
        before = _list(folder)
        with guarded(folder) as breaches:
            verdict, message = self._read(folder, same)
        if breaches:
            return Verdict(number, 'fault', breaches[0])
        left = sorted(_list(folder) - before)
        if verdict == 'refused' and left and not self.door.writes:
            return Verdict(number, 'fault', f'leaves {left[:3]}')
        return Verdict(number, verdict, message)

    def _read(self, folder: Path, same: bool) -> tuple[str, str]:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            value = self.door.read(folder)
        except self.door.errors as error:
            return 'refused', str(error)
        except TimeUp:
            return 'fault', f'takes more than {SECONDS:g} seconds'
        except BaseException as error:
            return 'fault', f'{type(error).__name__}: {error}'[:300]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if same and repr(value) != self.expected:
            return 'fault', 'a changed file is read, and gives another value'
        return 'read', ''

    def _copy(self) -> Path:
        folder = self.folder / 'mutant'
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.original, folder)
        return folder


def _list(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob('*')}


def knock(
    name: str, seed: int, numbers: list[int], processes: bool = True
) -> list[Verdict]:
    """The verdicts of some mutants of a door."""
    before = signal.signal(signal.SIGALRM, _time_up)
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter('ignore')
            knocker = Knocker(name, seed, Path(folder).resolve())
            if not processes:
                return [knocker.try_one(number) for number in numbers]
            return _in_processes(knocker, numbers)
    finally:
        signal.signal(signal.SIGALRM, before)


def _time_up(number: int, frame: Optional[FrameType]) -> None:
    raise TimeUp


def _in_processes(knocker: Knocker, numbers: list[int]) -> list[Verdict]:
    verdicts: list[Verdict] = []
    while len(verdicts) < len(numbers):
        todo = numbers[len(verdicts) : len(verdicts) + PER_PROCESS]
        found = _in_a_process(knocker, todo)
        verdicts += found
    return verdicts


def _in_a_process(knocker: Knocker, numbers: list[int]) -> list[Verdict]:
    """The verdicts until the process ends; the last one is that it died, if it did."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(here)
        _work(knocker, numbers, there)
    os.close(there)
    verdicts: list[Verdict] = []
    rest = b''
    while True:
        ready, _, _ = select.select([here], [], [], 3 * SECONDS)
        if not ready:  # It hangs where no signal is heard.
            os.kill(child, signal.SIGKILL)
        data = os.read(here, 1 << 16)
        if not data:
            break
        *lines, rest = (rest + data).split(b'\n')
        verdicts += [Verdict(*json.loads(line)) for line in lines]
    os.close(here)
    _, status = os.waitpid(child, 0)
    if len(verdicts) < len(numbers):
        code = os.waitstatus_to_exitcode(status)
        message = f'the process dies of signal {-code}'
        verdicts.append(Verdict(numbers[len(verdicts)], 'fault', message))
    return verdicts


def _work(knocker: Knocker, numbers: list[int], there: int) -> None:
    try:
        pages = int(Path('/proc/self/statm').read_text().split()[0])
        most = pages * resource.getpagesize() + EXTRA_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        for number in numbers:
            verdict = knocker.try_one(number)
            os.write(there, json.dumps(verdict).encode() + b'\n')
    finally:
        os._exit(0)


def main(words: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--mutants', type=int, default=10000, help='of all doors')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--door', nargs='+', choices=tuple(DOORS), default=list(DOORS))
    parser.add_argument('--only', type=int, metavar='NUMBER', help='one mutant')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows')
    args = parser.parse_args(words)
    sys.dont_write_bytecode = True
    each = -(-args.mutants // len(args.door))
    numbers = list(range(each)) if args.only is None else [args.only]
    rows = []
    print('| door | mutants | read | refused | faults | seconds |')
    print('|---|---|---|---|---|---|')
    for name in args.door:
        start = time.perf_counter()
        verdicts = knock(name, args.seed, numbers)
        rows.append(_row(name, verdicts, time.perf_counter() - start))
        cells = ' | '.join(str(rows[-1][key]) for key in _SHOWN)
        print(f'| {cells} |', flush=True)
        if args.only is not None:
            print(verdicts[0])
    faults = [f'{row["door"]}: {fault}' for row in rows for fault in row['all_faults']]
    total = sum(row['mutants'] for row in rows)
    print(f'{total} mutants, {sum(row["faults"] for row in rows)} faults')
    for fault in faults:
        print(fault)
    if args.json is not None:
        write(args.json, 'fuzz', rows)
    return 1 if faults else 0


_SHOWN = ('door', 'mutants', 'read', 'refused', 'faults', 'seconds')


def _row(name: str, verdicts: list[Verdict], seconds: float) -> dict[str, Any]:
    counts = Counter(verdict.verdict for verdict in verdicts)
    # One of each kind, by its first number.
    kinds: dict[str, Verdict] = {}
    for verdict in verdicts:
        if verdict.verdict == 'fault':
            kinds.setdefault(verdict.message[:40], verdict)
    return {
        'door': name,
        'mutants': len(verdicts),
        'read': counts['read'],
        'refused': counts['refused'],
        'faults': counts['fault'],
        'seconds': round(seconds, 1),
        'all_faults': [
            f'--only {verdict.number}: {verdict.message}' for verdict in kinds.values()
        ],
    }


if __name__ == '__main__':
    sys.exit(main())
