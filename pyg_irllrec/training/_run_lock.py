r"""Lock the folder of a run, from the moment it is opened until its training ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyg_irllrec.utils.folder_lock import FolderLock

_GUARD = threading.Lock()
_OPENED: dict[tuple[int, Path], tuple[threading.Thread, FolderLock]] = {}
"""The folders that threads of this process have opened and not trained in yet. Keys
have the process id, because a forked process inherits this dictionary."""


def open_folder(folder: Path) -> FolderLock:
    r"""Lock a folder for this thread until it trains there or the process ends.

    Raises:
        OSError: If another run is using the folder, or it cannot be written to.
    """
    thread = threading.current_thread()
    with _GUARD:
        owner, lock = _OPENED.get(_key(folder), (thread, None))
        if lock is None or (owner is not thread and owner.is_alive()):
            lock = FolderLock(folder)  # It raises if another thread has the folder.
        _OPENED[_key(folder)] = thread, lock
    return lock


def close_folder(folder: Path) -> None:
    r"""Unlock a folder that was opened."""
    with _GUARD:
        _, lock = _OPENED.pop(_key(folder), (None, None))
    if lock is not None:
        lock.close()


@contextmanager
def training_in(folder: Path) -> Iterator[None]:
    r"""Lock a folder, unless this process has opened it, until the end of training.

    Raises:
        OSError: If another run is using the folder, or it cannot be written to.
    """
    with _GUARD:
        _, lock = _OPENED.pop(_key(folder), (None, None))
    with lock or FolderLock(folder):
        yield


def _key(folder: Path) -> tuple[int, Path]:
    return os.getpid(), folder.resolve()
