r"""Fuzz every reader of foreign files and answers.

    python -m benchmarks.fuzz --json benchmarks/results/fuzz.json
    python -m benchmarks.fuzz --door vectors --only 17

A mutant is a valid file with one to three changes. It is read in a process with limited
memory and time. An audit hook detects code that is run, processes and sockets that are
opened, and files that are written. The reader must read the mutant, or refuse it with a
documented error. Anything else is a fault: another exception, another value of a file
with checksums, a process that dies or hangs, an action that the hook detects, or files
that are left behind. Exits with 1 if there is a fault. Linux only.
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


class Fuzzer:
    """Try the mutants of one door.

    Args:
        name: The name of the door.
        seed: The seed of the mutants.
        folder: An empty folder to work in.
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
        # Also imports what the reader imports late, which the guard would report.
        self.expected = repr(self.door.read(self._copy()))

    def try_one(self, number: int) -> Verdict:
        rng = random.Random(f'{self.seed}/{self.name}/{number}')
        folder = self._copy()
        path = folder / rng.choice(self.names)
        content, is_resealed = mutate(path.read_bytes(), rng)
        same = self.door.sealed and not is_resealed
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
            return Verdict(number, 'fault', f'leaves files behind: {left[:3]}')
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
            return 'fault', 'reads another value from a changed file'
        return 'read', ''

    def _copy(self) -> Path:
        folder = self.folder / 'mutant'
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.original, folder)
        return folder


def _list(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob('*')}


def try_mutants(
    name: str, seed: int, numbers: list[int], processes: bool = True
) -> list[Verdict]:
    """The verdicts on mutants of a door, by their numbers."""
    before = signal.signal(signal.SIGALRM, _time_up)
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter('ignore')
            fuzzer = Fuzzer(name, seed, Path(folder).resolve())
            if not processes:
                return [fuzzer.try_one(number) for number in numbers]
            return _in_processes(fuzzer, numbers)
    finally:
        signal.signal(signal.SIGALRM, before)


def _time_up(number: int, frame: Optional[FrameType]) -> None:
    raise TimeUp


def _in_processes(fuzzer: Fuzzer, numbers: list[int]) -> list[Verdict]:
    verdicts: list[Verdict] = []
    while len(verdicts) < len(numbers):
        todo = numbers[len(verdicts) : len(verdicts) + PER_PROCESS]
        found = _in_a_process(fuzzer, todo)
        verdicts += found
    return verdicts


def _in_a_process(fuzzer: Fuzzer, numbers: list[int]) -> list[Verdict]:
    """The verdicts until the process ends. If it died, the last verdict is a fault."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(here)
        _work(fuzzer, numbers, there)
    os.close(there)
    verdicts: list[Verdict] = []
    rest = b''
    while True:
        ready, _, _ = select.select([here], [], [], 3 * SECONDS)
        if not ready:  # It hangs in code that no Python signal handler can stop.
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
        message = f'signal {-code} killed the process'
        verdicts.append(Verdict(numbers[len(verdicts)], 'fault', message))
    return verdicts


def _work(fuzzer: Fuzzer, numbers: list[int], there: int) -> None:
    try:
        pages = int(Path('/proc/self/statm').read_text().split()[0])
        most = pages * resource.getpagesize() + EXTRA_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        for number in numbers:
            verdict = fuzzer.try_one(number)
            os.write(there, json.dumps(verdict).encode() + b'\n')
    finally:
        os._exit(0)


def main(words: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--mutants', type=int, default=10000, help='mutants of all doors together'
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--door', nargs='+', choices=tuple(DOORS), default=list(DOORS))
    parser.add_argument(
        '--only', type=int, metavar='NUMBER', help='try only this mutant of each door'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows here')
    args = parser.parse_args(words)
    sys.dont_write_bytecode = True
    each = -(-args.mutants // len(args.door))
    numbers = list(range(each)) if args.only is None else [args.only]
    rows = []
    print('| door | mutants | read | refused | faults | seconds |')
    print('|---|---|---|---|---|---|')
    for name in args.door:
        start = time.perf_counter()
        verdicts = try_mutants(name, args.seed, numbers)
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
    # Keep the first fault of each kind.
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
