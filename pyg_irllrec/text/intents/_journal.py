from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Optional

from pyg_irllrec.text._sqlite_file import SQLiteFile
from pyg_irllrec.text.intents.intent_record import Intent


class JournalEntry(NamedTuple):
    r"""The answer to a question, in all runs: intents, or the reason of a failure."""

    intents: tuple[Intent, ...]
    reason: str = ''
    calls: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    @property
    def failed(self) -> bool:
        r"""Whether the question has to be asked again."""
        return not self.intents


class Journal(SQLiteFile):
    r"""Entries by the hash of their question, in a SQLite file, each with a checksum.
    An entry is stored when :meth:`write` returns. The threads of one process may share
    a journal.

    Args:
        path (Path): The file, which is created where it is missing.

    Raises:
        ValueError: If the file is no SQLite database.
        OSError: If it cannot be read or written, or another run has locked it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        super().__init__(
            path,
            'journal',
            'outcomes (key BLOB PRIMARY KEY, intents TEXT NOT NULL, '
            'reason TEXT NOT NULL, calls INTEGER NOT NULL, '
            'prompt_tokens INTEGER NOT NULL, answer_tokens INTEGER NOT NULL, '
            'checksum INTEGER NOT NULL)',
            # Two runs at once would pay for the same questions.
            exclusive=True,
        )

    def read(self, keys: Sequence[bytes]) -> dict[bytes, JournalEntry]:
        r"""The stored entries by key, without damaged ones."""
        marks = ', '.join('?' * len(keys))
        with self._lock, self._named_errors():
            rows = self._db.execute(
                f'SELECT * FROM outcomes WHERE key IN ({marks})', keys
            ).fetchall()
        return {row[0]: _unpack(row) for row in rows if row[-1] == _checksum(row[:3])}

    def write(self, key: bytes, entry: JournalEntry) -> None:
        r"""Stores an entry. It replaces an earlier one, and adds to its counts."""
        content = (key, json.dumps(entry.intents), entry.reason)
        row = (*content, *entry[2:], _checksum(content))
        added = ', '.join(
            f'{name} = {name} + excluded.{name}'
            for name in ('calls', 'prompt_tokens', 'answer_tokens')
        )
        with self._lock, self._named_errors(), self._db as db:
            db.execute(
                'INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) '
                'DO UPDATE SET intents = excluded.intents, reason = excluded.reason, '
                f'checksum = excluded.checksum, {added}',
                row,
            )

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        with self._lock:
            super().__exit__(kind, error, traceback)


def _checksum(content: tuple[bytes, str, str]) -> int:
    key, *texts = content
    return zlib.crc32('\0'.join(map(str, texts)).encode(), zlib.crc32(key))


def _unpack(row: tuple[bytes, str, str, int, int, int, int]) -> JournalEntry:
    _, intents, reason, *counts, _ = row
    found = (Intent(name, why, tuple(rows)) for name, why, rows in json.loads(intents))
    return JournalEntry(tuple(found), reason, *counts)
