r"""The shared runner of the speed benchmarks.

Each peer of a case runs in its own process, so that its peak memory is measured alone.
The peers take turns, so that a machine whose speed drifts affects all of them alike.
Their results must agree before any of them is timed.
"""

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
    """The work of one peer in one turn."""

    step: Callable[[], Values]
    """Return the values that are compared between peers."""
    flops: float = 0.0
    """Floating-point operations of one turn, for the lower bound on a GPU."""
    bytes: float = 0.0
    """Memory traffic of one turn in bytes, for the lower bound on a GPU."""


class Peer(NamedTuple):
    """One way to compute a case."""

    impl: str
    tolerance: Optional[float] = 1e-5
    """The largest allowed relative error against the first peer. None for a peer that
    computes something else, of which only the cost matters."""


class Case(NamedTuple):
    """One computation and its peers. Ratios are relative to the first peer."""

    name: str
    peers: Sequence[Peer]
    repeats: int = 5


Prepare = Callable[[str, str, torch.device, argparse.Namespace], Job]

# Peak FLOP/s in float32 and bytes/s by name, from NVIDIA's data sheets.
BOUNDS = {'H100': (67e12, 3.35e12), 'H200': (67e12, 4.8e12)}


def parser(doc: str) -> argparse.ArgumentParser:
    """The options that all speed benchmarks share."""
    out = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    out.add_argument('--json', type=Path, metavar='FILE', help='write the rows here')
    out.add_argument(
        '--cases',
        nargs='+',
        default=[''],
        metavar='PART',
        help='run only cases whose names contain one of these',
    )
    out.add_argument(
        '--quick', action='store_true', help='small sizes: only check that it runs'
    )
    return out


def main(
    name: str,
    prepare: Prepare,
    cases: Sequence[Case],
    args: argparse.Namespace,
    targets: Callable[[list[dict[str, Any]]], list[str]] = lambda rows: [],
) -> int:
    """Run all cases, print a table and write the JSON. Return 1 if peers disagree."""
    if not has_device(args.device):
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


def has_device(device: str) -> bool:
    """Whether torch can use a device; print an error if it cannot."""
    if device == 'cuda' and not torch.cuda.is_available():
        print("error: '--device cuda' needs a GPU, but torch finds none")
        return False
    return True


def run_case(
    case: Case, prepare: Prepare, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Compare and time the peers of a case. Return one row per peer that runs."""
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
        # The first turn warms up the caches. Its values are compared.
        answer = _request(here, 'check')
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
            answer = _request(connection, 'time')
            if 'failed' in answer:
                raise RuntimeError(f'{case.name}, {impl}: {answer["failed"]}')
            turns[impl].append(answer['seconds'])
    for row in rows:
        process, connection = workers[row['impl']]
        seconds = turns[row['impl']]
        row['seconds'] = statistics.median(seconds)
        row['all_seconds'] = [round(value, 6) for value in seconds]
        row |= _request(connection, 'memory')
        connection.send('end')
        process.join()
    return rows


def run_apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process and return its result."""
    context = get_context('spawn')
    here, there = context.Pipe()
    process = context.Process(target=_send, args=(there, work, arguments), daemon=True)
    process.start()
    there.close()
    try:
        found = here.recv()
    except EOFError:
        raise RuntimeError('the process died, perhaps out of memory') from None
    process.join()
    return found


def _send(connection: Connection, work: Any, arguments: tuple[Any, ...]) -> None:
    warnings.simplefilter('ignore')
    connection.send(work(*arguments))


def _request(connection: Connection, request: str) -> dict[str, Any]:
    connection.send(request)
    try:
        answer: dict[str, Any] = connection.recv()
    except EOFError:
        return {'failed': 'its process died, perhaps out of memory'}
    return answer


def _work(
    connection: Connection,
    prepare: Prepare,
    case: str,
    impl: str,
    args: argparse.Namespace,
) -> None:
    """Serve the requests for one peer in its own process."""
    warnings.filterwarnings('ignore', message='Sparse')  # Sparse CSR is in beta.
    device = torch.device(args.device)
    memory = Memory(device)
    try:
        torch.manual_seed(0)
        job = prepare(case, impl, device, args)
        memory.start()
        values = {name: value.detach().cpu() for name, value in job.step().items()}
    except Exception as error:  # Reported in one line; the other peers continue.
        connection.recv()
        last = traceback.format_exception_only(error)[-1].strip().splitlines()[0]
        connection.send({'failed': last})
        return
    while (request := connection.recv()) != 'end':
        if request == 'check':
            answer = {'values': values, 'bound_seconds': _bound(job, device)}
            del values
        elif request == 'time':
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
    # Other processes used the caches in between: repeat a short step and take the
    # median, so that the first, cold step does not count.
    times = []
    for _ in range(min(50, int(0.3 / once))):
        start_time = time.perf_counter()
        step()
        times.append(time.perf_counter() - start_time)
    return statistics.median(times)


def _bound(job: Job, device: torch.device) -> Optional[float]:
    """The least time that the operations and traffic need at the GPU's peak rates."""
    if device.type != 'cuda':
        return None
    for name, (flops, bandwidth) in BOUNDS.items():
        if name in torch.cuda.get_device_name(device):
            return max(job.flops / flops, job.bytes / bandwidth) or None
    return None


class Memory:
    """The peak memory of this process, in total and above its inputs."""

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
        try:  # Reset the peak, which includes imports and inputs.
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
    """Return freed memory to the system, or a step could reuse it unmeasured."""
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
    """The largest error in norm of any value, relative to its expected norm."""
    errors = []
    for name, want in expected.items():
        if name in values:
            gap = (values[name].double() - want.double()).norm()
            errors.append(float(gap / want.double().norm().clamp(min=1e-30)))
    # max() can miss a NaN, because all comparisons with it are false.
    if any(error != error for error in errors):
        return float('nan')
    return max(errors, default=float('nan'))


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table. Ratios are relative to the first peer of a case."""
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
    """The time of a slow peer divided by the time of a fast one."""
    seconds = {row['impl']: row['seconds'] for row in rows if row['case'] == case}
    if slow not in seconds or fast not in seconds:
        return None
    return float(seconds[slow] / seconds[fast])


def target(what: str, value: Optional[float], least: float) -> str:
    """One line that shows whether a value reaches its target."""
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
    """Write the report of a benchmark: command, environment and rows."""
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
    """The command line of this process, without paths of this machine."""
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
