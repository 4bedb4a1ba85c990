r"""Run all checks and measurements that need a GPU, in about four minutes.

    python -m benchmarks.gpu --out benchmarks/results/gpu
    python -m benchmarks.gpu --dry

Sections, the most important first:

    environment  the speed of copies and matrix products on this machine
    checks       whether the package computes the right results
    step         training steps
    info_nce     InfoNCE and its peers
    propagation  propagation and its peers
    data         evaluation and sampling
    tests        the tests of code that has its own path on a GPU
    precision    Recall@20 of short runs in lower precisions
    blocks       block sizes of the kernels

No data files are needed. Each row is written to OUT.json as soon as it is measured. Run
the same command again to continue after an interruption or when the budget has ended. A
measurement that fails is recorded with its error, and the others continue. OUT.md has
the table. Exit codes: 0 if everything was measured, 1 if some rows failed or are wrong,
2 for wrong arguments, 3 if the budget left rows out, 130 after Ctrl-C or SIGTERM.

--dry runs everything on a CPU at toy size in two minutes, to test this script without a
GPU. Its figures mean nothing. The Triton kernels run if Triton is installed and
TRITON_INTERPRET=1 is set.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn, Optional

import torch

from benchmarks import (
    _gpu_blocks,
    _gpu_checks,
    _gpu_contrast,
    _gpu_graph,
    _gpu_precision,
    _gpu_step,
)
from benchmarks._gpu_measure import Row, measure_ceilings
from benchmarks._gpu_report import table
from benchmarks._gpu_setting import LeftOut, Setting
from benchmarks._gpu_store import Entry, Store

OUT = Path(__file__).parent / 'results' / 'gpu'


def environment_entries(setting: Setting) -> Iterator[Entry]:
    run = partial(measure_ceilings, setting.device, setting.pick(8192, 64))
    yield Entry('environment', 'ceilings', 'torch', run)


SECTIONS: dict[str, Callable[[Setting], Iterator[Entry]]] = {
    'environment': environment_entries,
    'checks': _gpu_checks.entries,
    'step': _gpu_step.entries,
    'info_nce': _gpu_contrast.entries,
    'propagation': _gpu_graph.propagation_entries,
    'data': _gpu_graph.data_entries,
    'tests': _gpu_checks.test_entries,
    'precision': _gpu_precision.entries,
    'blocks': _gpu_blocks.entries,
}


def main(words: Optional[Sequence[str]] = None) -> int:
    args = parse(words)
    if not args.dry and not torch.cuda.is_available():
        print('error: torch finds no GPU; --dry runs on a CPU', file=sys.stderr)
        return 2
    if args.out is None:
        args.out = Path(tempfile.mkdtemp()) / 'gpu' if args.dry else OUT
    setting = Setting(torch.device('cpu' if args.dry else 'cuda'), args.dry)
    try:
        store = open_store(args.out, args.dry)
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    if args.retry:
        store.forget('failed')
    try:
        with interrupted_by_sigterm():
            left = run(setting, store, args)
    except KeyboardInterrupt:
        store.forget('started')
        write_table(store, args.out)
        print(
            f'stopped; to continue, run the same command with --out {args.out}',
            file=sys.stderr,
        )
        return 130
    print(write_table(store, args.out))
    bad = [row for row in store.rows.values() if is_bad(row, args.sections)]
    for row in bad:
        where = ' | '.join((row['section'], row['case'], row['impl']))
        why = row.get('why', f'off by {row.get("max_error")}')
        print(f'error: {where}: {why}', file=sys.stderr)
    if left:
        print(
            f'{left} rows are not measured because the budget ended; to continue, run '
            f'the same command with --out {args.out}',
            file=sys.stderr,
        )
        return 3
    return 1 if bad else 0


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Make SIGTERM, which batch systems send, stop the run like Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def open_store(out: Path, dry: bool) -> Store:
    """Open the results to continue, or start new ones.

    Raises:
        ValueError: If OUT.json or OUT.md cannot be written, or has other content.
    """
    path, page = beside(out, '.json'), beside(out, '.md')
    try:
        if out.is_dir():
            raise ValueError(
                f"'--out' must be a file name without suffix, got the folder "
                f'{str(out)!r}: use a name in it, for example {str(out / "gpu")!r}'
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            is_written = path.exists()
    except OSError as error:
        raise ValueError(
            f"'--out': the file {str(path)!r} cannot be written ({error.strerror}): "
            'use another'
        ) from error
    if page.exists() and not (is_written and page.is_file()):
        raise ValueError(
            f'{page} exists without {path.name} and would be overwritten: remove it or '
            "use another '--out'"
        )
    return Store(path, dry)


def beside(out: Path, suffix: str) -> Path:
    # Not with_suffix(), which would drop the .11 of a name like torch-2.11.
    return out.with_name(out.name + suffix)


def parse(words: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--dry', action='store_true', help='on a CPU, at toy size')
    parser.add_argument(
        '--out', type=parse_out, metavar='OUT', help='write OUT.json and OUT.md'
    )
    parser.add_argument(
        '--sections',
        nargs='+',
        choices=tuple(SECTIONS),
        default=list(SECTIONS),
        metavar='NAME',
    )
    parser.add_argument(
        '--budget',
        type=parse_budget,
        metavar='SECONDS',
        help='start nothing after this time (default: 240, unlimited with --dry)',
    )
    parser.add_argument(
        '--retry', action='store_true', help='measure rows again that failed'
    )
    return parser.parse_args(words)


def parse_out(text: str) -> Path:
    if not text or text.endswith(('/', os.sep)):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a file name: use, for example, {text + "gpu"!r}'
        )
    out = Path(text)
    return out.with_suffix('') if out.suffix in ('.json', '.md') else out


def parse_budget(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f'{text!r} is not a positive number')
    return seconds


def run(setting: Setting, store: Store, args: argparse.Namespace) -> int:
    """Measure the missing rows, and return how many the budget left out."""
    budget = args.budget
    if budget is None:
        budget = math.inf if args.dry else 240.0
    end = time.monotonic() + budget
    left = 0
    for name in args.sections:
        for entry in SECTIONS[name](setting):
            if entry.key in store.rows:
                continue
            if time.monotonic() > end:
                left += 1
                continue
            run_entry(entry, setting, store)
            if is_lost(setting):
                restart(args, end - time.monotonic())
        write_table(store, args.out)
    return left


def write_table(store: Store, out: Path) -> str:
    text = table(list(store.rows.values()), store.dry)
    if store.rows:
        beside(out, '.md').write_text(text + '\n', encoding='utf-8')
    return text


def run_entry(entry: Entry, setting: Setting, store: Store) -> None:
    store.put(entry, 'started', {})
    start = time.perf_counter()
    state, values = 'done', {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('default')
        try:
            torch.manual_seed(0)
            values = entry.run()
        except LeftOut as reason:
            state, values = 'left out', {'why': str(reason)}
        except Exception as error:  # One line in the table; the others continue.
            state, values = 'failed', {'why': last_line(error)}
            print(traceback.format_exc(), file=sys.stderr)
    own = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    if own:
        values['warnings'] = list(dict.fromkeys(own))
    took = time.perf_counter() - start
    store.put(entry, state, {**values, 'took': round(took, 2)})
    print(f'{took:7.2f} s  {" | ".join(entry.key)}: {state}', file=sys.stderr)
    if setting.device.type == 'cuda':
        torch.cuda.empty_cache()


def last_line(error: Exception) -> str:
    return traceback.format_exception_only(error)[-1].strip().splitlines()[0]


def is_lost(setting: Setting) -> bool:
    """Whether an error has left the device unusable in this process."""
    if setting.device.type != 'cuda':
        return False
    try:
        torch.cuda.synchronize(setting.device)
        return False
    except RuntimeError:
        return True


def restart(args: argparse.Namespace, seconds: float) -> NoReturn:
    """Replace this process by a fresh one that continues."""
    words = ['--out', str(args.out), '--sections', *args.sections]
    words += ['--budget', str(max(1e-9, seconds))] + ['--dry'] * args.dry
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, '-m', 'benchmarks.gpu', *words])


def is_bad(row: Row, sections: Sequence[str]) -> bool:
    is_wrong = row['state'] == 'failed' or row.get('agrees') is False
    return is_wrong and row['section'] in sections


if __name__ == '__main__':
    sys.exit(main())
