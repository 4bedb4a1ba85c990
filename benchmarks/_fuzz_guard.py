"""Detect actions that reading a file must not take: running code, starting processes,
opening sockets, and writing outside a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FORBIDDEN = (
    *('subprocess.Popen', 'os.system', 'os.exec', 'os.posix_spawn', 'os.spawn'),
    *('os.fork', 'os.forkpty', 'pty.spawn', 'os.kill', 'os.putenv', 'os.startfile'),
    *('socket.connect', 'socket.bind', 'socket.getaddrinfo', 'urllib.Request'),
    *('pickle.find_class', 'marshal.loads', 'code.__new__', 'webbrowser.open'),
)
# Events whose first argument is the path that they change.
CHANGING = (
    *('os.remove', 'os.rename', 'os.rmdir', 'os.mkdir', 'os.truncate', 'os.chmod'),
    *('os.link', 'os.symlink', 'shutil.rmtree', 'shutil.move', 'sqlite3.connect'),
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
IMPORTED_FROM = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[1]))


class _Guard:
    folder: str | None = None
    breaches: list[str]
    installed = False


_guard = _Guard()


@contextmanager
def guarded(folder: Path) -> Iterator[list[str]]:
    """Yield a list that collects the breaches of this process."""
    if not _guard.installed:  # A hook cannot be removed.
        sys.addaudithook(_hook)
        _guard.installed = True
    _guard.folder, _guard.breaches = os.path.realpath(folder), []
    try:
        yield _guard.breaches
    finally:
        _guard.folder = None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _guard.folder is None:
        return
    if event in FORBIDDEN:
        if not _is_an_import(event):
            _guard.breaches.append(f'{event} {args!r:.100}')
    elif event == 'open':
        path, _, flags = args
        if isinstance(flags, int) and flags & WRITING and _is_outside(path):
            _guard.breaches.append(f'opens {path!r:.100} to write')
    elif event in CHANGING:
        if _is_outside(args[0]):
            _guard.breaches.append(f'{event} {args!r:.100}')
    elif event == 'exec':
        name = getattr(args[0], 'co_filename', '')
        if not name.startswith((*IMPORTED_FROM, '<frozen')):
            _guard.breaches.append(f'runs code of {name!r:.100}')


def _is_an_import(event: str) -> bool:
    """Whether the event belongs to the first import of a module."""
    if event not in ('marshal.loads', 'code.__new__'):
        return False
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith('<frozen importlib'):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _is_outside(path: object) -> bool:
    if not isinstance(path, (str, bytes, os.PathLike)) or path == '/dev/null':
        return False
    name = os.path.realpath(os.fsdecode(path))
    return os.path.commonpath([name, str(_guard.folder)]) != _guard.folder
