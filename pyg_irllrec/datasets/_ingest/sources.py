"""What a dataset was made from, so that it is not made again from the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from pyg_irllrec.datasets._ingest.tables import FrameTable, check_file

Record = dict[str, Any]


class Source(Protocol):
    r"""Something that data is read from."""

    def record(self) -> Record:
        r"""What a manifest says of it."""

    def is_recorded(self, record: Record) -> bool:
        r"""Whether it is what :meth:`record` was written for."""


class FileSource:
    r"""A file, told by its cell, size and time, or else by its content: copies are
    the same."""

    def __init__(self, path: Path) -> None:
        self.path = check_file(path)

    def record(self) -> Record:
        return {**self._stat(), 'sha256': self._sha256()}

    def is_recorded(self, record: Record) -> bool:
        stat = self._stat()
        if stat == {name: record.get(name) for name in stat}:
            return True
        if stat['bytes'] != record.get('bytes'):
            return False
        return self._sha256() == str(record['sha256'])

    def _stat(self) -> Record:
        stat = self.path.stat()
        folder = str(self.path.resolve().parent)
        return {
            'name': self.path.name,
            'folder_sha256': hashlib.sha256(folder.encode()).hexdigest(),
            'bytes': stat.st_size,
            'mtime_ns': stat.st_mtime_ns,
        }

    def _sha256(self) -> str:
        sha256 = hashlib.sha256()
        with open(self.path, 'rb') as file:
            while block := file.read(1 << 20):
                sha256.update(block)
        return sha256.hexdigest()


class FrameSource:
    r"""Some columns of a :class:`pandas.DataFrame`, told by their content."""

    def __init__(self, table: FrameTable, columns: Sequence[str]) -> None:
        self.table = table
        self.columns = columns

    def record(self) -> Record:
        sha256 = hashlib.sha256()
        for batch in self.table.batches(self.columns):
            sha256.update(
                str(batch.schema).encode()
            )  # The bytes do not say their type.
            sha256.update(batch.serialize())
        return {'name': self.table.name, 'sha256': sha256.hexdigest()}

    def is_recorded(self, record: Record) -> bool:
        return self.record() == record
