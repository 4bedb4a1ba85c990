from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet

from pyg_irllrec.datasets._ingest.read_errors import check_file, read_errors

_BATCH_ROWS = 1 << 18


class ParquetTable:
    r"""A Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = check_file(path)
        self.name = str(path)

    def columns(self) -> list[str]:
        with read_errors(self.name, 'a Parquet file'):
            names: list[str] = pyarrow.parquet.read_schema(self.path).names
        return names

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        with read_errors(self.name, 'a Parquet file'):
            with pyarrow.parquet.ParquetFile(self.path) as file:
                yield from file.iter_batches(_BATCH_ROWS, columns=list(columns))

    def location(self, row: int) -> str:
        return f'row {row}'
