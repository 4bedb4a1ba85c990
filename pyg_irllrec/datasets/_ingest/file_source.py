from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from pyg_irllrec.datasets._ingest.read_errors import check_file
from pyg_irllrec.datasets._ingest.source import Record


class FileSource:
    r"""A file, identified by its content: a copy is the same source."""

    def __init__(self, path: Path) -> None:
        self.path = check_file(path)

    def record(self) -> Record:
        return {
            'name': self.path.name,
            'bytes': self.path.stat().st_size,
            'sha256': self._sha256,
        }

    def matches(self, record: Record) -> bool:
        # Compare sizes first, which is cheap. Modification times are not reliable.
        if self.path.stat().st_size != record.get('bytes'):
            return False
        return self._sha256 == record.get('sha256')

    @cached_property
    def _sha256(self) -> str:
        # Computed once: an object lives only during the call that opens a dataset.
        sha256 = hashlib.sha256()
        with open(self.path, 'rb') as file:
            while block := file.read(1 << 20):
                sha256.update(block)
        return sha256.hexdigest()
