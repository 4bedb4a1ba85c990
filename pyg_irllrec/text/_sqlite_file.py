from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from typing_extensions import Self

READ_SIZE = 500  # Keys per query, fewer than the parameters that any SQLite allows.


_MIN_ROW_BYTES = 30
_MAX_GROWTH = 1000  # Of a file that was cut off; a damaged header may claim anything.


class DamagedDatabase(ValueError):
    r"""A file is a SQLite database, but pages of it are damaged."""


class SQLiteFile:
    r"""A SQLite file with one table. Each write is complete or absent, even if the
    process is killed. Threads may share it in turns, and processes unless it is
    exclusive.

    Args:
        path (Path): The file, which is created where it is missing.
        argument (str): The argument that names the file, for errors.
        table (str): The name of the table and, in brackets, its columns.
        exclusive (bool): Whether no other process may use the file until this one
            closes it. (default: :obj:`False`)

    Raises:
        DamagedDatabase: If pages of the file are damaged.
        ValueError: If the file is no SQLite database.
        OSError: If it cannot be read or written, or another process has locked it.
    """

    def __init__(
        self, path: Path, argument: str, table: str, exclusive: bool = False
    ) -> None:
        self.path = path
        self._argument = argument
        self._exclusive = exclusive
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another process may be writing, which takes milliseconds per batch.
        timeout = 0.2 if exclusive else 60
        with self._named_errors():
            self._db = sqlite3.connect(path, timeout=timeout, check_same_thread=False)
        try:
            with self._named_errors(), self._db as db:
                if exclusive:
                    db.execute('PRAGMA locking_mode = EXCLUSIVE')
                # A killed process loses no write; a power cut may lose the last ones.
                db.execute('PRAGMA journal_mode = WAL')
                db.execute('PRAGMA synchronous = NORMAL')
                db.execute(f'CREATE TABLE IF NOT EXISTS {table}')
                if exclusive:  # From now on, not from the first write.
                    db.execute('BEGIN EXCLUSIVE')
            # Damaged text is caught by checksums, row by row.
            self._db.text_factory = _decode
        except BaseException:
            self._db.close()
            raise

    def check_pages(self) -> None:
        r"""Raises a :class:`DamagedDatabase` if pages of the file are damaged. It reads
        all of the file."""
        with self._named_errors():
            found = self._db.execute('PRAGMA integrity_check(1)').fetchone()
        if found != ('ok',):
            raise DamagedDatabase(f'{self.path} is damaged: {found[0]}')

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # Locked, full, or not readable.
            if self._exclusive and 'locked' in str(error):
                raise OSError(
                    f'{self.path} is in use by another run: wait for its end, or '
                    'choose another file'
                ) from None
            cause = str(error)
            if not os.access(self.path.parent, os.W_OK):
                cause = f'{self.path.parent} is read-only, and SQLite writes beside it'
            raise OSError(f'{self.path} cannot be read or written: {cause}') from error
        except sqlite3.DatabaseError as error:
            if 'malformed' in str(error):
                raise DamagedDatabase(f'{self.path} is damaged: {error}') from None
            raise ValueError(
                f"'{self._argument}' must be a SQLite database, or a file that does "
                f'not exist yet, got {self.path}: {error}'
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._db.close()


def rescue_rows(
    path: Path, table: str, is_sound: Callable[[tuple[Any, ...]], bool]
) -> str:
    r"""Puts what can be read of a damaged database into a new one, and keeps the
    damaged one beside it. Returns what was done, in a sentence.

    Args:
        path (Path): The file, which nobody has open.
        table (str): The name of the table and, in brackets, its columns.
        is_sound (callable): Whether a row is whole.

    Raises:
        OSError: If a file cannot be written.
    """
    kept = _copy_aside(path)
    fresh = path.with_name(f'{path.name}.rescued')
    fresh.unlink(missing_ok=True)
    _pad(path)
    name = table.split()[0]
    rescued = 0
    try:
        with (
            closing(sqlite3.connect(path)) as old,
            closing(sqlite3.connect(fresh)) as new,
            new,
        ):
            old.text_factory = _decode
            new.execute(f'CREATE TABLE {table}')
            for row in _read_rows(old, name, path.stat().st_size // _MIN_ROW_BYTES):
                if is_sound(row):
                    marks = ', '.join('?' * len(row))
                    new.execute(f'INSERT OR REPLACE INTO {name} VALUES ({marks})', row)
                    rescued += 1
    except sqlite3.DatabaseError as error:
        fresh.unlink(missing_ok=True)
        raise OSError(f'{path} is damaged and was not rescued: {error}') from None
    for suffix in ('-wal', '-shm'):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.replace(fresh, path)
    return (
        f'{path} was damaged: {rescued} entries that could be read are in a new file '
        f'of this name, and the damaged file is kept as {kept}'
    )


def _copy_aside(path: Path) -> Path:
    number = 1
    while (kept := path.with_name(f'{path.name}.damaged-{number}')).exists():
        number += 1
    for suffix in ('', '-wal'):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copyfile(source, kept.with_name(kept.name + suffix))
    return kept


def _pad(path: Path) -> None:
    r"""Gives a file that was cut off the length that its header names, without which
    SQLite reads nothing of it."""
    size = path.stat().st_size
    with open(path, 'r+b') as file:
        header = file.read(32)
        page_size = int.from_bytes(header[16:18], 'big')
        full = page_size * int.from_bytes(header[28:32], 'big')
        if size < full < _MAX_GROWTH * size:
            file.truncate(full)


def _read_rows(
    db: sqlite3.Connection, name: str, most: int
) -> Iterator[tuple[Any, ...]]:
    r"""The rows that can be read: those around damaged pages, too."""
    try:
        (last,) = db.execute(f'SELECT max(rowid) FROM {name}').fetchone()
    except sqlite3.DatabaseError:
        last = most
    pending = [
        (start, min(start + READ_SIZE, last + 1))
        for start in range(0, (last or 0) + 1, READ_SIZE)
    ]
    while pending:
        start, end = pending.pop()
        try:
            yield from db.execute(
                f'SELECT * FROM {name} WHERE rowid >= ? AND rowid < ?', (start, end)
            ).fetchall()
        except sqlite3.DatabaseError:
            if end - start > 1:
                middle = (start + end) // 2
                pending += [(start, middle), (middle, end)]


def _decode(text: bytes) -> str:
    return text.decode('utf-8', 'replace')
