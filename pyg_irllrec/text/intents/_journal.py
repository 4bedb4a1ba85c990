from __future__ import annotations

import json
import sqlite3
import threading
import warnings
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Optional

from pyg_irllrec.text._sqlite_file import (
    DamagedDatabase,
    SQLiteFile,
    rescue_rows,
)
from pyg_irllrec.text.intents.intent_record import Intent

_TABLE = (
    'outcomes (key BLOB PRIMARY KEY, content TEXT NOT NULL, reason TEXT NOT NULL, '
    'calls INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, '
    'answer_tokens INTEGER NOT NULL, checksum INTEGER NOT NULL)'
)


class JournalEntry(NamedTuple):
    r"""The answer to a question (intents or a profile) or the reason of the failure,
    with the calls and tokens of all runs."""

    intents: tuple[Intent, ...]
    reason: str = ''
    calls: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    profile: str = ''

    @property
    def failed(self) -> bool:
        r"""Whether the question must be asked again."""
        return not self.intents and not self.profile


class Journal(SQLiteFile):
    r"""A SQLite file that maps the hashes of questions to entries, each with a
    checksum. An entry is stored when :meth:`write` returns. The threads of one process
    may share a journal. A damaged file is replaced by a new file with all readable
    entries, with a warning.

    Args:
        path (Path): The file. It is created if it does not exist.

    Raises:
        ValueError: If the file is not a SQLite database.
        OSError: If the file cannot be read or written, or is locked by another run.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._open(path)
        except DamagedDatabase:
            warnings.warn(rescue_rows(path, _TABLE, _is_sound), stacklevel=3)
            self._open(path)

    def _open(self, path: Path) -> None:
        # Exclusive, because two runs at once would pay for the same questions.
        super().__init__(path, 'journal', _TABLE, exclusive=True)
        try:
            self.check_pages()
        except BaseException:
            self._db.close()
            raise

    def read(self, keys: Sequence[bytes]) -> dict[bytes, JournalEntry]:
        r"""Return the stored entries by key. Skip damaged entries with a warning."""
        marks = ', '.join('?' * len(keys))
        with self._lock, self._named_errors():
            rows = self._db.execute(
                f'SELECT * FROM outcomes WHERE key IN ({marks})', keys
            ).fetchall()
        sound = [row for row in rows if _is_sound(row)]
        if len(sound) < len(rows):
            warnings.warn(
                f'{len(rows) - len(sound)} of {len(rows)} entries in {self.path} are '
                'damaged: their questions are asked again',
                stacklevel=2,
            )
        return {row[0]: _unpack(row) for row in sound}

    def write(self, key: bytes, entry: JournalEntry) -> None:
        r"""Store an entry. It replaces an earlier entry and adds up their counts."""
        with self._lock, self._named_errors(), self._db as db:
            old = db.execute('SELECT * FROM outcomes WHERE key = ?', (key,)).fetchone()
            counts: tuple[int, ...] = entry[2:5]
            if old is not None and _is_sound(old):
                counts = tuple(map(sum, zip(counts, old[3:6])))
            content = json.dumps(entry.profile or entry.intents)
            row = (key, content, entry.reason, *counts)
            db.execute(
                'INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?)',
                (*row, _checksum(row)),
            )

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        with self._lock:
            super().__exit__(kind, error, traceback)


def count_answers(path: Path) -> Optional[int]:
    r"""Return the number of valid answers in a journal, or :obj:`None` if the file
    cannot be read, for example because another run has locked it."""
    query = "SELECT count(*) FROM outcomes WHERE content != '[]'"
    try:
        with closing(sqlite3.connect(path, timeout=0.2)) as db:
            return int(db.execute(query).fetchone()[0])
    except sqlite3.Error:
        return None


def _is_sound(row: tuple[Any, ...]) -> bool:
    return (
        tuple(map(type, row)) == (bytes, str, str, int, int, int, int)
        and min(row[3:6]) >= 0
        and row[-1] == _checksum(row[:-1])
    )


def _checksum(content: tuple[Any, ...]) -> int:
    key, *rest = content
    return zlib.crc32('\0'.join(map(str, rest)).encode(), zlib.crc32(key))


def _unpack(row: tuple[bytes, str, str, int, int, int, int]) -> JournalEntry:
    _, content, reason, calls, prompt_tokens, answer_tokens, _ = row
    entry = JournalEntry((), reason, calls, prompt_tokens, answer_tokens)
    found = json.loads(content)
    if isinstance(found, str):
        return entry._replace(profile=found)
    intents = (Intent(name, why, tuple(numbers)) for name, why, numbers in found)
    return entry._replace(intents=tuple(intents))
