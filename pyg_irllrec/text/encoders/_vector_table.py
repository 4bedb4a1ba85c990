from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from pyg_irllrec.text._sqlite_file import SQLiteFile

TABLE = (
    'text_vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, '
    'checksum INTEGER NOT NULL)'
)


class VectorTable(SQLiteFile):
    r"""A SQLite file that maps keys to vectors, each with a checksum.

    Args:
        path (Path): The file. It is created if it does not exist.

    Raises:
        ValueError: If the file is not a SQLite database.
        OSError: If the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, 'path', TABLE)

    def read(
        self, keys: Sequence[bytes]
    ) -> dict[bytes, Optional[npt.NDArray[np.float32]]]:
        r"""Return the stored vectors by key, with :obj:`None` for damaged vectors."""
        marks = ', '.join('?' * len(keys))
        with self._named_errors():
            found = self._db.execute(
                'SELECT key, vector, checksum FROM text_vectors '
                f'WHERE key IN ({marks})',
                keys,
            ).fetchall()
        return {key: _unpack(key, blob, checksum) for key, blob, checksum in found}

    def write(self, keys: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> None:
        r"""Store one vector per key, in one transaction."""
        blobs = (row.astype('<f4').tobytes() for row in vectors)
        with self._named_errors(), self._db as db:
            db.executemany(
                'INSERT OR REPLACE INTO text_vectors VALUES (?, ?, ?)',
                ((key, blob, _checksum(key, blob)) for key, blob in zip(keys, blobs)),
            )


def is_sound(row: tuple[Any, ...]) -> bool:
    r"""Return whether a row of the table is undamaged."""
    return isinstance(row[0], bytes) and _unpack(*row) is not None


def _checksum(key: bytes, blob: bytes) -> int:
    # Including the key, to detect a vector that is stored under the wrong key.
    return zlib.crc32(blob, zlib.crc32(key))


def _unpack(
    key: bytes, blob: object, checksum: object
) -> Optional[npt.NDArray[np.float32]]:
    if not isinstance(blob, bytes) or checksum != _checksum(key, blob):
        return None
    vector = (
        np.frombuffer(blob, dtype='<f4') if len(blob) % 4 == 0 else np.empty(0, '<f4')
    )
    return vector if vector.size > 0 and np.isfinite(vector).all() else None
