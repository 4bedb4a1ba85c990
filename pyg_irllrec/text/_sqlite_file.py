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

READ_SIZE = 500  # Keys per query, below the parameter limit of all SQLite builds.


class DamagedDatabase(ValueError):
    r"""A SQLite database has damaged pages."""


class SQLiteFile:
    r"""A SQLite file with one table. Each write is complete or absent, even if the
    process is killed. Threads may share it if they take turns. Processes may share it
    unless it is exclusive.

    Args:
        path (Path): The file. It is created if it does not exist.
        argument (str): The name of the user's argument for the file, for errors.
        table (str): The name of the table, and its columns in parentheses.
        exclusive (bool): Whether to lock out other processes until the file is closed.
            (default: :obj:`False`)

    Raises:
        DamagedDatabase: If the file has damaged pages.
        ValueError: If the file is not a SQLite database.
        OSError: If the file cannot be read or written, or is locked by another process.
    """

    def __init__(
        self, path: Path, argument: str, table: str, exclusive: bool = False
    ) -> None:
        self.path = path
        self._argument = argument
        self._exclusive = exclusive
        path.parent.mkdir(parents=True, exist_ok=True)
        # Wait while another process writes a batch, which takes milliseconds.
        timeout = 0.2 if exclusive else 60
        with self._named_errors():
            self._db = sqlite3.connect(path, timeout=timeout, check_same_thread=False)
        try:
            with self._named_errors(), self._db as db:
                if exclusive:
                    db.execute('PRAGMA locking_mode = EXCLUSIVE')
                # A killed process loses no write. A power failure may lose the last.
                db.execute('PRAGMA journal_mode = WAL')
                db.execute('PRAGMA synchronous = NORMAL')
                db.execute(f'CREATE TABLE IF NOT EXISTS {table}')
                if exclusive:  # Lock now instead of at the first write.
                    db.execute('BEGIN EXCLUSIVE')
            # The checksum of each row detects damaged text.
            self._db.text_factory = _decode
        except BaseException:
            self._db.close()
            raise

    def check_pages(self) -> None:
        r"""Read the whole file. Raise a :class:`DamagedDatabase` if a page is
        damaged."""
        with self._named_errors():
            found = self._db.execute('PRAGMA integrity_check(1)').fetchone()
        if found != ('ok',):
            raise DamagedDatabase(f'{self.path} is damaged: {found[0]}')

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # Locked, full or unreadable.
            if self._exclusive and 'locked' in str(error):
                raise OSError(
                    f'{self.path} is in use by another run: wait until it ends, or '
                    'choose another file'
                ) from None
            cause = str(error)
            if not os.access(self.path.parent, os.W_OK):
                cause = (
                    f'SQLite needs to write to {self.path.parent}, which is read-only'
                )
            raise OSError(f'{self.path} cannot be read or written: {cause}') from error
        except sqlite3.DatabaseError as error:
            if 'malformed' in str(error):
                raise DamagedDatabase(f'{self.path} is damaged: {error}') from None
            raise ValueError(
                f"'{self._argument}' must be a SQLite database or a new file, got "
                f'{self.path}: {error}'
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
    r"""Copy the readable rows of a damaged database to a new file of the same name, and
    keep the damaged file under another name. Return a sentence that reports the result.

    Args:
        path (Path): The file. It must not be open.
        table (str): The name of the table, and its columns in parentheses. The first
            column is the key.
        is_sound (callable): Takes a row and returns whether it is undamaged.

    Raises:
        ValueError: If no row can be read. The file stays unchanged.
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
                continue  # A row of SQLite's schema table.
            if not is_sound(row):
                damaged += 1
            elif number >= newest.get(row[0], 0):  # Unused pages may hold old rows.
                newest[row[0]] = number
                marks = ', '.join('?' * num_columns)
                new.execute(f'INSERT OR REPLACE INTO {name} VALUES ({marks})', row)
    if not newest:
        fresh.unlink()
        raise ValueError(
            f'{path} is damaged, and none of its entries can be read: restore it from '
            'a backup, or move it away to start from scratch'
        )
    kept = _copy_aside(path)
    for suffix in ('-wal', '-shm'):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.replace(fresh, path)
    return (
        f'{path} was damaged. It was replaced by a new file with the entries that can '
        f'be read ({len(newest)} read, {damaged} damaged), and is kept as {kept}'
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
