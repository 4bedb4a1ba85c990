from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


def note_choosing(what: str, progress: bool) -> None:
    r"""Print one line instead of a progress bar, if standard error is not a
    terminal."""
    if progress and not sys.stderr.isatty():
        print(f'choosing {what} on validation', file=sys.stderr, flush=True)


@contextmanager
def counting_trials(what: str, progress: bool) -> Iterator[Callable[[int], object]]:
    r"""Yield a function that counts completed trials, on a progress bar if standard
    error is a terminal."""
    shown = progress and sys.stderr.isatty()
    with tqdm(desc=what, unit=' trials', disable=not shown) as bar:
        bar.refresh()  # The first trial may take minutes.
        yield bar.update
