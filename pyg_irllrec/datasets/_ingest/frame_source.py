from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pyg_irllrec.datasets._ingest.source import Record
from pyg_irllrec.datasets._ingest.table import Table


class FrameSource:
    r"""Some columns of a table that is not in a file, identified by their content."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self.table = table
        self.columns = columns

    def record(self) -> Record:
        sha256 = hashlib.sha256()
        for batch in self.table.batches(self.columns):
            # The bytes do not include the types.
            sha256.update(str(batch.schema).encode())
            sha256.update(batch.serialize())
        return {'name': self.table.name, 'sha256': sha256.hexdigest()}

    def matches(self, record: Record) -> bool:
        return self.record() == record
