from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Optional

from pyg_irllrec.text.intents._question_maker import QuestionMaker
from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.utils.argument_checks import each_of

_TABLE = (
    'nodes (row INTEGER PRIMARY KEY, node TEXT NOT NULL, key BLOB, '
    'num_texts INTEGER NOT NULL)'
)


class QuestionList:
    r"""The hashes of all questions about some evidence. They are in a temporary file,
    so that memory does not grow with their number. Threads may share it if they take
    turns.

    Args:
        evidence (sequence of Evidence): The evidence. It is read once.
        maker (QuestionMaker): The maker of the questions.

    Raises:
        ValueError: If a node is repeated.
    """

    def __init__(self, evidence: Sequence[Evidence], maker: QuestionMaker) -> None:
        digest = hashlib.sha256()

        def rows() -> Iterator[tuple[str, Optional[bytes], int]]:
            for each in each_of('evidence', evidence, Evidence):
                sha256 = each.sha256
                # In the same way as evidence_sha256().
                digest.update(json.dumps([each.side, each.id, sha256]).encode())
                node = json.dumps([each.side, each.id])
                yield node, maker.key(each, sha256), len(each.texts)

        # SQLite removes the file, even if the process is killed.
        self._db = sqlite3.connect('', check_same_thread=False)
        try:
            with self._db as db:
                db.execute(f'CREATE TABLE {_TABLE}')
                insert = 'INSERT INTO nodes (node, key, num_texts) VALUES (?, ?, ?)'
                db.executemany(insert, rows())
                db.execute('CREATE INDEX by_key ON nodes (key)')
            self._check_nodes()
        except BaseException:
            self._db.close()
            raise
        self.evidence_sha256 = digest.hexdigest()

    def counts(self) -> dict[str, int]:
        r"""Return the number of nodes, and of nodes without texts."""
        query = 'SELECT count(*), count(*) - count(key) FROM nodes'
        nodes, without = self._db.execute(query).fetchone()
        return {'nodes': nodes, 'no evidence': without}

    def num_questions(self) -> int:
        r"""Return the number of distinct keys."""
        query = 'SELECT count(DISTINCT key) FROM nodes'
        return int(self._db.execute(query).fetchone()[0])

    def keys(self) -> Iterator[Optional[bytes]]:
        r"""Yield the key of each node, or :obj:`None` if the node has no texts."""
        for (key,) in self._db.execute('SELECT key FROM nodes ORDER BY row'):
            yield key

    def questions(self) -> Iterator[tuple[bytes, int, int]]:
        r"""Yield each distinct key with its first row and its number of nodes, in the
        order of rows."""
        yield from self._db.execute(
            'SELECT key, min(row) - 1, count(*) FROM nodes WHERE key IS NOT NULL '
            'GROUP BY key ORDER BY min(row)'
        )

    def key(self, row: int) -> bytes:
        r"""Return the key of a row with texts."""
        query = 'SELECT key FROM nodes WHERE row = ?'
        (key,) = self._db.execute(query, (row + 1,)).fetchone()
        return bytes(key)

    def num_texts(self, key: bytes) -> Optional[int]:
        r"""Return the number of texts of a question, or :obj:`None` if the question is
        not in the list."""
        query = 'SELECT num_texts FROM nodes WHERE key = ? LIMIT 1'
        found = self._db.execute(query, (key,)).fetchone()
        return None if found is None else int(found[0])

    def close(self) -> None:
        r"""Remove the temporary file."""
        self._db.close()

    def _check_nodes(self) -> None:
        query = 'SELECT node FROM nodes GROUP BY node HAVING count(*) > 1 LIMIT 1'
        found = self._db.execute(query).fetchone()
        if found is not None:
            side, name = json.loads(found[0])
            raise ValueError(
                f"'evidence' must have each node once, got {side} {name!r} twice"
            )
