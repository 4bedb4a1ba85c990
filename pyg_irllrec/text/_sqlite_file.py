from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from typing_extensions import Self

READ_SIZE = 500  # Keys a query, below the number of parameters that any SQLite takes.


class SQLiteFile:
    r"""A SQLite file with one table. What was written is there whole or not at all,
    whatever happens to the process. Several threads that take turns may share it, and
    several processes unless it is exclusive.

    Args:
        path (Path): The file; it is made where it is missing.
        argument (str): What an error calls the file.
        table (str): The name of the table and, in brackets, its columns.
        exclusive (bool): Whether it is for this process alone, until it ends.
            (default: :obj:`False`)

    Raises:
        ValueError: If the file is no SQLite database.
        OSError: If it cannot be read or written, or another process has it alone.
    """

    def __init__(
        self, path: Path, argument: str, table: str, exclusive: bool = False
    ) -> None:
        self.path = path
        self._argument = argument
        self._exclusive = exclusive
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another process may be writing: a batch takes it milliseconds.
        timeout = 1 if exclusive else 60
        with self._explained():
            self._db = sqlite3.connect(path, timeout=timeout, check_same_thread=False)
        try:
            with self._explained(), self._db as db:
                if exclusive:
                    db.execute('PRAGMA locking_mode = EXCLUSIVE')
                # A killed process loses nothing of this, a power cut the end.
                db.execute('PRAGMA journal_mode = WAL')
                db.execute('PRAGMA synchronous = NORMAL')
                db.execute(f'CREATE TABLE IF NOT EXISTS {table}')
                if exclusive:  # From now on, not from the first outcome.
                    db.execute('BEGIN EXCLUSIVE')
        except BaseException:
            self._db.close()
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # Locked, full, not to be opened.
            if self._exclusive and 'locked' in str(error):
                raise OSError(
                    f'{self.path} is in use by another run: wait for its end, or take '
                    'another file'
                ) from None
            raise OSError(f'{self.path} cannot be read or written: {error}') from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"'{self._argument}' must be a SQLite database, or a file that is not "
                f'there yet, got {self.path}: {error}'
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
