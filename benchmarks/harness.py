r"""What the benchmarks of speed share: every peer of a case in a process of its own,
so that its peak memory is its own; all take turns, so that a machine whose speed drifts
drifts for all of them; and all must agree before one is timed."""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import platform
import statistics
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from datetime import date
from functools import cache
from importlib.metadata import version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor

Values = dict[str, Tensor]


class Job(NamedTuple):
    """What one peer does in one turn."""

    step: Callable[[], Values]
    """Returns what the peers must agree in."""
    flops: float = 0.0
    """Counted floating-point operations of a turn, for the bound on a GPU."""
    bytes: float = 0.0
    """Counted traffic of a turn, likewise."""


class Peer(NamedTuple):
    """One way to compute a case."""

    impl: str
    tolerance: Optional[float] = 1e-5
    """The largest relative error against the first peer; None for a peer that
    computes something else and is here for its cost alone."""


class Case(NamedTuple):
    """What is computed, and by whom: the first peer is what ratios refer to."""

    name: str
    peers: Sequence[Peer]
    repeats: int = 5


Prepare = Callable[[str, str, torch.device, argparse.Namespace], Job]

# Peak FLOP/s in float32 and bytes/s by name, from NVIDIA's data sheets.
BOUNDS = {'H100': (67e12, 3.35e12), 'H200': (67e12, 4.8e12)}


def parser(doc: str) -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    out.add_argument('--json', type=Path, metavar='FILE', help='write the rows')
    out.add_argument(
        '--cases', nargs='+', default=[''], metavar='PART', help='of names of cases'
    )
    out.add_argument(
        '--quick', action='store_true', help='small sizes: does it run at all?'
    )
    return out


def main(
    name: str,
    prepare: Prepare,
    cases: Sequence[Case],
    args: argparse.Namespace,
    targets: Callable[[list[dict[str, Any]]], list[str]] = lambda rows: [],
) -> int:
    """Run all cases, print a table and write the JSON; 1 if peers disagree."""
    if args.device == 'cuda' and not torch.cuda.is_available():
        print('error: --device cuda needs a CUDA device, there is none')
        return 2
    rows: list[dict[str, Any]] = []
    for case in cases:
        if any(part in case.name for part in args.cases):
            rows += run_case(case, prepare, args)
    print(table(rows))
    for line in targets(rows):
        print(line)
    if args.json is not None:
        write(args.json, name, rows)
    wrong = [row for row in rows if row['agrees'] is False]
    for row in wrong:
        print(
            f'error: {row["impl"]} is off by {row["max_error"]:.1e} in {row["case"]}',
            file=sys.stderr,
        )
    return 1 if wrong else 0


def run_case(
    case: Case, prepare: Prepare, args: argparse.Namespace
) -> list[dict[str, Any]]:
    print(f'{case.name} ...', file=sys.stderr, flush=True)
    context = get_context('spawn')
    workers: dict[str, tuple[Any, Connection]] = {}
    rows: list[dict[str, Any]] = []
    reference: Optional[dict[str, Any]] = None
    for peer in case.peers:
        here, there = context.Pipe()
        process = context.Process(
            target=_work, args=(there, prepare, case.name, peer.impl, args), daemon=True
        )
        process.start()
        there.close()
        # The first turn warms caches up and is compared.
        answer = _ask(here, 'check')
        if 'failed' in answer:
            print(f'  {peer.impl}: left out, {answer["failed"]}', file=sys.stderr)
            process.join()
            continue
        values = answer['values']
        reference = values if reference is None else reference
        error = (
            None if peer.tolerance is None else max_relative_error(values, reference)
        )
        agrees = None if error is None else bool(error <= (peer.tolerance or 0.0))
        rows.append(
            {
                'case': case.name,
                'impl': peer.impl,
                'seconds': None,
                'peak_mb': None,
                'max_error': error,
                'agrees': agrees,
                'bound_seconds': answer['bound_seconds'],
            }
        )
        workers[peer.impl] = process, here
    turns: dict[str, list[float]] = {impl: [] for impl in workers}
    for _ in range(case.repeats):
        for impl, (_, connection) in workers.items():
            answer = _ask(connection, 'time')
            if 'failed' in answer:
                raise RuntimeError(f'{case.name}, {impl}: {answer["failed"]}')
            turns[impl].append(answer['seconds'])
    for row in rows:
        process, connection = workers[row['impl']]
        seconds = turns[row['impl']]
        row['seconds'] = statistics.median(seconds)
        row['all_seconds'] = [round(value, 6) for value in seconds]
        row |= _ask(connection, 'memory')
        connection.send('end')
        process.join()
    return rows


def run_apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns, from a fresh process."""
    context = get_context('spawn')
    here, there = context.Pipe()
    process = context.Process(target=_send, args=(there, work, arguments), daemon=True)
    process.start()
    there.close()
    try:
        found = here.recv()
    except EOFError:
        raise RuntimeError('the process died (out of memory?)') from None
    process.join()
    return found


def _send(connection: Connection, work: Any, arguments: tuple[Any, ...]) -> None:
    warnings.simplefilter('ignore')
    connection.send(work(*arguments))


def _ask(connection: Connection, what: str) -> dict[str, Any]:
    connection.send(what)
    try:
        answer: dict[str, Any] = connection.recv()
    except EOFError:
        return {'failed': 'its process died (out of memory?)'}
    return answer


def _work(
    connection: Connection,
    prepare: Prepare,
    case: str,
    impl: str,
    args: argparse.Namespace,
) -> None:
    """One peer in its process."""
    warnings.filterwarnings('ignore', message='Sparse')  # Torch's, that it is beta.
    device = torch.device(args.device)
    memory = Memory(device)
    try:
        torch.manual_seed(0)
        job = prepare(case, impl, device, args)
        memory.start()
        values = {name: value.detach().cpu() for name, value in job.step().items()}
    except Exception as error:  # Said in one line; the other peers go on.
        connection.recv()
        last = traceback.format_exception_only(error)[-1].strip().splitlines()[0]
        connection.send({'failed': last})
        return
    while (what := connection.recv()) != 'end':
        if what == 'check':
            answer = {'values': values, 'bound_seconds': _bound(job, device)}
            del values
        elif what == 'time':
            answer = {'seconds': _time(job.step, device)}
        else:
            answer = memory.peak()
        connection.send(answer)


def _time(step: Callable[[], Values], device: torch.device) -> float:
    if device.type == 'cuda':
        step()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        step()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1e3
    start_time = time.perf_counter()
    step()
    once = time.perf_counter() - start_time
    if once > 0.1:
        return once
    # Another process has had the caches: the first of several short steps warms up.
    times = []
    for _ in range(min(50, int(0.3 / once))):
        start_time = time.perf_counter()
        step()
        times.append(time.perf_counter() - start_time)
    return statistics.median(times)


def _bound(job: Job, device: torch.device) -> Optional[float]:
    """The time that counted operations and traffic need at the peak of the GPU."""
    if device.type != 'cuda':
        return None
    for name, (flops, bandwidth) in BOUNDS.items():
        if name in torch.cuda.get_device_name(device):
            return max(job.flops / flops, job.bytes / bandwidth) or None
    return None


class Memory:
    """The peak memory of this process, and how much of it is above its inputs."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.before = 0.0

    def start(self) -> None:
        if self.device.type == 'cuda':
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated() / 2**20
            return
        _return_freed_memory()
        try:  # Forget the peak of imports and inputs.
            Path('/proc/self/clear_refs').write_text('5')
        except OSError:
            pass
        self.before = _status('VmRSS')

    def peak(self) -> dict[str, float]:
        cuda = self.device.type == 'cuda'
        peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else _status('VmHWM')
        return {
            'peak_mb': round(peak, 1),
            'extra_mb': round(max(peak - self.before, 0.0), 1),
        }


def _return_freed_memory() -> None:
    """What inputs have left free would hide what a step takes."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # Not glibc.
        pass


def _status(name: str) -> float:
    try:
        lines = Path('/proc/self/status').read_text().splitlines()
    except OSError:
        return float('nan')
    (line,) = (line for line in lines if line.startswith(name))
    return int(line.split()[1]) / 2**10


def max_relative_error(values: Values, expected: Values) -> float:
    """The largest error of a value, in norm, relative to the norm expected."""
    errors = []
    for name, want in expected.items():
        if name in values:
            gap = (values[name].double() - want.double()).norm()
            errors.append(float(gap / want.double().norm().clamp(min=1e-30)))
    # NaN compares with nothing: it has to be looked for.
    if any(error != error for error in errors):
        return float('nan')
    return max(errors, default=float('nan'))


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table; ratios are to the first peer of a case."""
    lines = [
        '| case | impl | seconds | x the first | peak MB | extra MB | max error |',
        '|---|---|---|---|---|---|---|',
    ]
    first: dict[str, float] = {}
    for row in rows:
        base = first.setdefault(row['case'], row['seconds'])
        error = '' if row['max_error'] is None else f'{row["max_error"]:.1e}'
        lines.append(
            f'| {row["case"]} | {row["impl"]} | {row["seconds"]:.4g} '
            f'| {base / row["seconds"]:.2f} | {row["peak_mb"]:.0f} '
            f'| {row["extra_mb"]:.0f} | {error} |'
        )
    return '\n'.join(lines)


def ratio(
    rows: list[dict[str, Any]], case: str, slow: str, fast: str
) -> Optional[float]:
    """How many times as long one peer takes as another."""
    seconds = {row['impl']: row['seconds'] for row in rows if row['case'] == case}
    if slow not in seconds or fast not in seconds:
        return None
    return float(seconds[slow] / seconds[fast])


def target(what: str, value: Optional[float], least: float) -> str:
    """A line with the verdict whether a number is reached."""
    if value is None:
        return f'{what}: not measured'
    verdict = 'yes' if value >= least else 'NO'
    return f'{what}: {value:.2f} (at least {least:.3g}: {verdict})'


def write(
    path: Path,
    name: str,
    rows: list[dict[str, Any]],
    more: Optional[dict[str, Any]] = None,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {
        'benchmark': name,
        'command': command(),
        'environment': environment(),
        **(more or {}),
        'rows': rows,
    }
    part = path.with_name(f'.{path.name}.tmp')
    part.write_text(json.dumps(report, indent=2) + '\n')
    part.replace(path)


def command() -> str:
    """What was called, without the folders of this machine."""
    words = ['-m', f'benchmarks.{Path(sys.argv[0]).stem}', *sys.argv[1:]]
    places = {'--root': 'DIR', '--out': 'RUNS', '--json': 'FILE', '--png': 'FILE'}
    for option, shown in places.items():
        if option in words:
            words[words.index(option) + 1] = shown
    return ' '.join(['python', *words])


def environment() -> dict[str, Any]:
    cuda = torch.cuda.is_available()
    return {
        'date': date.today().isoformat(),
        'python': platform.python_version(),
        'torch': torch.__version__,
        'torch_geometric': version('torch_geometric'),
        'threads': torch.get_num_threads(),
        'machine': platform.machine(),
        'processor': _processor(),
        'gpu': torch.cuda.get_device_name() if cuda else None,
    }


@cache
def _processor() -> str:
    try:
        out = subprocess.run(['lscpu'], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return platform.processor()
    (line,) = (row for row in out.stdout.splitlines() if row.startswith('Model name'))
    return line.split(':')[1].strip()
