from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

from pyg_irllrec.datasets._ingest.parquet_table import ParquetTable
from pyg_irllrec.datasets._ingest.read_errors import read_errors
from pyg_irllrec.datasets._ingest.table import check_columns


class _Part(NamedTuple):
    path: Path
    partition: Mapping[str, Any]
    """The columns and values that the names of its folders encode."""


class ParquetFolder:
    r"""The Parquet files of a folder and its subfolders, as one table in the order of
    their paths. Folder names such as :obj:`day=1` (Hive's layout) are columns. Files
    and folders whose names begin with :obj:`"."` or :obj:`"_"` are left out."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser()
        self.name = str(path)
        with read_errors(self.name, 'a folder of Parquet files'):
            dataset = pyarrow.dataset.dataset(
                self.path, format='parquet', partitioning='hive'
            )
            self._schema = dataset.schema
            self._parts = sorted(
                _Part(
                    Path(part.path),
                    pyarrow.dataset.get_partition_keys(part.partition_expression),
                )
                for part in dataset.get_fragments()
            )
        if not self._parts:
            raise ValueError(f'{self.name} must hold Parquet files, got none')

    @property
    def paths(self) -> list[Path]:
        r"""The paths of the files."""
        return [part.path for part in self._parts]

    def columns(self) -> list[str]:
        names: list[str] = self._schema.names
        return names

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        for path, partition in self._parts:
            table = ParquetTable(path)
            stored = [name for name in columns if name not in partition]
            check_columns(table, stored)
            for batch in table.batches(stored):
                arrays = [
                    self._constant(name, partition[name], len(batch))
                    if name in partition
                    else batch[name]
                    for name in columns
                ]
                yield pa.record_batch(arrays, names=list(columns))

    def location(self, row: int) -> str:
        for path, _ in self._parts:
            with read_errors(str(path), 'a Parquet file'):
                num_rows = pyarrow.parquet.read_metadata(path).num_rows
            if row < num_rows:
                break
            row -= num_rows
        return f'{path.relative_to(self.path)}, row {row}'

    def _constant(self, name: str, value: Any, length: int) -> Any:
        kind = self._schema.field(name).type
        return pa.repeat(pa.scalar(value, kind), length)
