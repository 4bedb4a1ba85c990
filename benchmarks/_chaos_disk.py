r"""Disk faults for :mod:`benchmarks.chaos`: hooks into each change that a process makes
to the files of a folder, and private file systems that fill up or become read-only.
Linux only."""

from __future__ import annotations

import builtins
import ctypes
import errno
import io
import os
import resource
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_GROWING = ('open', 'write', 'mkdir', 'fsync')


class Change(NamedTuple):
    """One step of a process that changes a folder."""

    kind: str
    """open (to write), write, fsync, rename, mkdir, remove or sql."""
    path: str


class Plan(NamedTuple):
    """An action right before one of the changes."""

    action: str = 'nothing'
    """nothing, kill, stop, full or read-only. The last two last until the end."""
    at: int = -1
    """The number of the change, counted from 0."""


class Watch:
    """Count the changes that this process makes to a folder, and act before one of
    them. This cannot be undone, so use it in a process that is forked for it."""

    def __init__(
        self, folder: Path, plan: Plan, first: Callable[[], None] = lambda: None
    ) -> None:
        self.folder = str(folder.resolve())
        self.plan = plan
        self.first = first
        self.changes: list[Change] = []
        self.lock = threading.RLock()  # Reentrant: a failing write closes its file.
        self._watch_calls()
        self._watch_files()
        self._watch_sqlite()

    def before(self, kind: str, path: object) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        path = os.path.abspath(os.fsdecode(path))
        if path != self.folder and not path.startswith(self.folder + os.sep):
            return
        with self.lock:
            number = len(self.changes)
            self.changes.append(Change(kind, path[len(self.folder) + 1 :]))
            if number == 0:
                self.first()
            self._act(number, kind, path)

    def _act(self, number: int, kind: str, path: str) -> None:
        action, at = self.plan
        if action == 'kill' and number == at:
            os.kill(os.getpid(), signal.SIGKILL)
        elif action == 'stop' and number == at:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif action == 'full' and number >= at:
            limit_files(0)  # Also fails writes in C, for example of SQLite.
            if kind in _GROWING or (number == at and kind == 'rename'):
                raise _error(errno.ENOSPC, kind, path)
        elif action == 'read-only' and number >= at and kind != 'sql':
            raise _error(errno.EROFS, kind, path)

    def _watch_calls(self) -> None:
        kinds = {
            'os.rename': 'rename',
            'os.mkdir': 'mkdir',
            'os.remove': 'remove',
            'os.rmdir': 'remove',
            'os.truncate': 'write',
        }

        def hook(event: str, args: tuple[Any, ...]) -> None:
            if event == 'open' and args[2] & _WRITING:
                self.before('open', args[0])
            elif event in kinds:
                self.before(kinds[event], args[0])

        sys.addaudithook(hook)
        fsync, write = os.fsync, os.write

        def watched_fsync(file: Any) -> None:
            self.before('fsync', _path_of(file))
            fsync(file)

        def watched_write(descriptor: int, data: Any) -> int:
            self.before('write', _path_of(descriptor))
            return write(descriptor, data)

        os.fsync, os.write = watched_fsync, watched_write

    def _watch_files(self) -> None:
        watch, plain = self, io.open

        class RawFile(io.FileIO):
            def write(self, data: Any, /) -> int:
                watch.before('write', self.name)
                return super().write(data)

        def watched_open(
            file: Any,
            mode: str = 'r',
            buffering: int = -1,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
            closefd: bool = True,
            opener: Any = None,
        ) -> IO[Any]:
            if isinstance(file, int) or not set(mode) & set('wax+'):
                return plain(
                    file, mode, buffering, encoding, errors, newline, closefd, opener
                )
            raw = RawFile(file, mode.replace('b', '').replace('t', ''), closefd, opener)
            both = io.BufferedRandom if '+' in mode else io.BufferedWriter
            buffer: Any = both(raw)
            if 'b' in mode:
                return raw if buffering == 0 else buffer
            return io.TextIOWrapper(buffer, encoding, errors, newline)

        io.open = builtins.open = watched_open  # type: ignore[assignment]

    def _watch_sqlite(self) -> None:
        connect = sqlite3.connect

        def watched_connect(path: Any, **options: Any) -> sqlite3.Connection:
            self.before('sql', path)
            db = connect(path, **options)
            db.set_trace_callback(lambda statement: self.before('sql', path))
            return db

        sqlite3.connect = watched_connect  # type: ignore[assignment]


def _error(number: int, kind: str, path: str) -> OSError:
    """An error as the operating system raises it: with a path if the call has one."""
    names = () if kind in ('write', 'fsync') else (path,)
    return OSError(number, os.strerror(number), *names)


def _path_of(file: Any) -> str:
    descriptor = file if isinstance(file, int) else file.fileno()
    return os.readlink(f'/proc/self/fd/{descriptor}')


def limit_files(size: int) -> None:
    """Let no file of this process grow beyond a size. Writes in C fail, too."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


class Mounts:
    """File systems that only this process sees, and that vanish with it."""

    _UNSHARE_MOUNTS, _UNSHARE_USER = 0x20000, 0x10000000
    _READ_ONLY, _REMOUNT, _BIND, _PRIVATE = 1, 32, 4096, (1 << 18) | (1 << 14)

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.allowed = False

    def unshare(self) -> None:
        """Make later mounts visible to this process and its children only.

        Raises:
            OSError: If the system does not allow it.
        """
        flags = self._UNSHARE_MOUNTS
        flags |= self._UNSHARE_USER if os.geteuid() else 0
        self._check(self._libc.unshare(flags))
        self._mount('none', Path('/'), flags=self._PRIVATE)
        self.allowed = True

    def add(self, folder: Path, size: int) -> None:
        """Mount a file system in memory with a size in bytes."""
        self._mount('tmpfs', folder, 'tmpfs', data=f'size={size}')

    def resize(self, folder: Path, size: int) -> None:
        self._mount('tmpfs', folder, 'tmpfs', self._REMOUNT, f'size={size}')

    def lock(self, folder: Path, locked: bool = True) -> None:
        """Make a file system read-only, or writable again."""
        flags = self._REMOUNT | self._BIND | (self._READ_ONLY if locked else 0)
        self._mount('none', folder, flags=flags)

    def remove(self, folder: Path) -> None:
        self._check(self._libc.umount2(os.fsencode(folder), 2))

    def _mount(
        self, source: str, target: Path, kind: str = '', flags: int = 0, data: str = ''
    ) -> None:
        texts = (source.encode(), os.fsencode(target), kind.encode())
        status = self._libc.mount(*texts, ctypes.c_ulong(flags), data.encode())
        self._check(status)

    def _check(self, status: int) -> None:
        if status != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
