r"""Everything that a GPU is needed for, in one process and about four minutes.

    python -m benchmarks.gpu --out benchmarks/results/gpu
    python -m benchmarks.gpu --dry

Sections, in order of worth: `environment`, what copies and products reach here;
`checks`, whether the package is right; `step`, the training step; `info_nce`;
`propagation`; `data`, evaluation and sampling; `tests`, a sample of them; `precision`,
Recall@20 of short runs in lower precisions; `blocks`, the kernels by the size of their
blocks. No file of data is needed. Each row is on disk, in OUT.json, as soon as it is
measured: a run that is cut off, or whose budget ends, goes on where it was when it is
called again, and one that fails is recorded with its error while the others go on.
OUT.md is the table. The exit code is 0 where all asked for is measured, 1 where some of
it failed or is wrong, 2 for wrong arguments, 3 where the budget left rows, and 130
after Ctrl-C or SIGTERM.

--dry runs all of it on a CPU at toy size, in two minutes, with the Triton kernels where
TRITON_INTERPRET=1 is set and Triton is installed: figures mean nothing, but a GPU comes
by only sometimes.
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
        print('error: there is no CUDA device; --dry runs on a CPU', file=sys.stderr)
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
        print(f'stopped: the same command, --out {args.out}, goes on', file=sys.stderr)
        return 130
    print(write_table(store, args.out))
    bad = [row for row in store.rows.values() if is_bad(row, args.sections)]
    for row in bad:
        where = ' | '.join((row['section'], row['case'], row['impl']))
        why = row.get('why', f'off by {row.get("max_error")}')
        print(f'error: {where}: {why}', file=sys.stderr)
    if left:
        print(
            f'{left} rows are not measured, as the budget ended: the same command, '
            f'--out {args.out}, goes on',
            file=sys.stderr,
        )
        return 3
    return 1 if bad else 0


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """What a batch system sends ends the run as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def open_store(out: Path, dry: bool) -> Store:
    """
    Raise:
        ValueError: If OUT.json or OUT.md cannot be written, or is of something else.
    """
    path, page = beside(out, '.json'), beside(out, '.md')
    try:
        if out.is_dir():
            raise ValueError(
                f"'--out' is the folder {str(out)!r}: give a name in it, as in "
                f'{str(out / "gpu")!r}'
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            is_written = path.exists()
    except OSError as error:
        raise ValueError(
            f"'--out': no file {str(path)!r} can be written ({error.strerror}): take "
            'another'
        ) from error
    if page.exists() and not (is_written and page.is_file()):
        raise ValueError(
            f'{page} is there without {path.name}, and would be overwritten: remove '
            "it, or take another '--out'"
        )
    return Store(path, dry)


def beside(out: Path, suffix: str) -> Path:
    # Not with_suffix(): a version in the name, as in torch-2.11, is none.
    return out.with_name(out.name + suffix)


def parse(words: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--dry', action='store_true', help='on a CPU, at toy size')
    parser.add_argument(
        '--out', type=parse_out, metavar='OUT', help='writes OUT.json and OUT.md'
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
        help='nothing is started after it (default: 240, and none where it is dry)',
    )
    parser.add_argument('--retry', action='store_true', help='try anew what has failed')
    return parser.parse_args(words)


def parse_out(text: str) -> Path:
    if not text or text.endswith(('/', os.sep)):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no name of a file: give OUT, as in '
            f'{text + "gpu"!r}, for OUT.json and OUT.md'
        )
    out = Path(text)
    return out.with_suffix('') if out.suffix in ('.json', '.md') else out


def parse_budget(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f'{text!r} is no number of seconds above 0')
    return seconds


def run(setting: Setting, store: Store, args: argparse.Namespace) -> int:
    """Measures what is missing; returns how many rows the budget left."""
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
        except Exception as error:  # One line in the table; the others go on.
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
    """Go on in a fresh process, which takes this one's place."""
    words = ['--out', str(args.out), '--sections', *args.sections]
    words += ['--budget', str(max(1e-9, seconds))] + ['--dry'] * args.dry
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, '-m', 'benchmarks.gpu', *words])


def is_bad(row: Row, sections: Sequence[str]) -> bool:
    is_wrong = row['state'] == 'failed' or row.get('agrees') is False
    return is_wrong and row['section'] in sections


if __name__ == '__main__':
    sys.exit(main())
