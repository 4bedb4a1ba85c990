from __future__ import annotations

import hashlib
from pathlib import Path

from pyg_irllrec.datasets._ingest.read_errors import check_file
from pyg_irllrec.datasets._ingest.source import Record


class FileSource:
    r"""A file, which is identified by folder, name, size and time or, where these
    differ, by its content: a copy is the same source."""

    def __init__(self, path: Path) -> None:
        self.path = check_file(path)

    def record(self) -> Record:
        return {**self._stat(), 'sha256': self._sha256()}

    def matches(self, record: Record) -> bool:
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
