from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from typing_extensions import Self

READ_SIZE = 500  # Keys per query, fewer than the parameters that any SQLite allows.


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
        except BaseException:
            self._db.close()
            raise

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
            raise OSError(f'{self.path} cannot be read or written: {error}') from error
        except sqlite3.DatabaseError as error:
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
