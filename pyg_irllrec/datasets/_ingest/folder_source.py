from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from pyg_irllrec.datasets._ingest.file_source import FileSource
from pyg_irllrec.datasets._ingest.source import Record


class FolderSource:
    r"""The files of a folder, identified by their content and by their paths within it,
    which may encode columns."""

    def __init__(self, folder: Path, paths: Sequence[Path]) -> None:
        self.folder = folder
        self.paths = paths

    def record(self) -> Record:
        return {'name': self.folder.name, 'sha256': self._sha256}

    def matches(self, record: Record) -> bool:
        return self._sha256 == record.get('sha256')

    @cached_property
    def _sha256(self) -> str:
        sha256 = hashlib.sha256()
        for path in self.paths:
            content = FileSource(path).record()['sha256']
            place = path.relative_to(self.folder).as_posix()
            sha256.update(f'{content} {place}\n'.encode())
        return sha256.hexdigest()
