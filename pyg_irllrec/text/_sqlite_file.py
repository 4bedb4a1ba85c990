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
    whatever happens to the process. Several processes, and several threads that take
    turns, may share it.

    Args:
        path (Path): The file; it is made where it is missing.
        argument (str): What an error calls the file.
        table (str): The name of the table and, in brackets, its columns.

    Raises:
        ValueError: If the file is no SQLite database.
        OSError: If it cannot be read or written.
    """

    def __init__(self, path: Path, argument: str, table: str) -> None:
        self.path = path
        self._argument = argument
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._explained():
            # Another process may be writing: a batch takes it milliseconds.
            self._db = sqlite3.connect(path, timeout=60, check_same_thread=False)
        try:
            with self._explained(), self._db as db:
                # A killed process loses nothing of this, a power cut the end.
                db.execute('PRAGMA journal_mode = WAL')
                db.execute('PRAGMA synchronous = NORMAL')
                db.execute(f'CREATE TABLE IF NOT EXISTS {table}')
        except BaseException:
            self._db.close()
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # Locked, full, not to be opened.
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
