from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


def note_choosing(what: str, progress: bool) -> None:
    r"""One line in place of a bar, where there is no terminal to draw one on."""
    if progress and not sys.stderr.isatty():
        print(f'choosing {what} on validation', file=sys.stderr, flush=True)


@contextmanager
def counting_trials(what: str, progress: bool) -> Iterator[Callable[[int], object]]:
    r"""Give what counts trials that are done, on a bar where there is a terminal."""
    shown = progress and sys.stderr.isatty()
    with tqdm(desc=what, unit=' trials', disable=not shown) as bar:
        bar.refresh()  # The first trial may take minutes.
        yield bar.update
