from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional

from pyg_irllrec.text._sqlite_pages import read_rows
from pyg_irllrec.utils.files import free_path

if TYPE_CHECKING:
    from typing_extensions import Self

READ_SIZE = 500  # Keys per query, fewer than the parameters that any SQLite allows.


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
        r"""Raise a :class:`DamagedDatabase` if pages of the file are damaged. It reads
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
    r"""Put what can be read of a damaged database into a new one, and keeps the
    damaged one beside it. Returns what was done, in a sentence.

    Args:
        path (Path): The file, which nobody has open.
        table (str): The name of the table and, in brackets, its columns, of which the
            first is the key.
        is_sound (callable): Whether a row is whole.

    Raises:
        ValueError: If nothing can be read. The file stays as it is.
        OSError: If a file cannot be written.
    """
    name, num_columns = table.split()[0], table.count(',') + 1
    newest: dict[Any, int] = {}
    damaged = 0
    fresh = path.with_name(f'{path.name}.rescued')
    fresh.unlink(missing_ok=True)
    with closing(sqlite3.connect(fresh)) as new, new:
        new.execute(f'CREATE TABLE {table}')
        for number, row in read_rows(path):
            if len(row) != num_columns:
                continue  # Of the schema.
            if not is_sound(row):
                damaged += 1
            elif number >= newest.get(row[0], 0):  # Old pages may hold old rows.
                newest[row[0]] = number
                marks = ', '.join('?' * num_columns)
                new.execute(f'INSERT OR REPLACE INTO {name} VALUES ({marks})', row)
    if not newest:
        fresh.unlink()
        raise ValueError(
            f'{path} is damaged, and none of its entries can be read: put a copy in '
            'its place, or move it away to start anew'
        )
    kept = _copy_aside(path)
    for suffix in ('-wal', '-shm'):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.replace(fresh, path)
    left_out = f' (damaged and left out: {damaged})' if damaged else ''
    return (
        f'{path} was damaged: {len(newest)} entries that could be read{left_out} are '
        f'in a new file of this name, and the damaged file is kept as {kept}'
    )


def _copy_aside(path: Path) -> Path:
    kept = free_path(path, 'damaged-')
    for suffix in ('', '-wal'):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copyfile(source, kept.with_name(kept.name + suffix))
    return kept


def _decode(text: bytes) -> str:
    return text.decode('utf-8', 'replace')
