from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import pyarrow as pa

from pyg_irllrec.datasets._ingest.arrow_stream import ArrowStream, arrow_stream
from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.decode import decode
from pyg_irllrec.datasets._ingest.disk_arrays import disk_error
from pyg_irllrec.datasets._ingest.table import check_columns
from pyg_irllrec.utils.printable import printable

_BATCH_ROWS = 1 << 18


class StreamTable:
    r"""Columns of a stream, which can be read only once and need not fit into memory:
    they are written to an unnamed temporary file, and read from there as often as
    needed.

    Args:
        frame: An object with a stream: see :func:`arrow_stream`.
        name (str): Its name in error messages.
        columns (sequence of str, optional): The columns to keep.
            (default: :obj:`None`, all)
        folder (Path, optional): The folder of the temporary file.
            (default: :obj:`None`, the default of :mod:`tempfile`)

    Raises:
        ValueError: If there is no stream, the stream fails, or a column is missing.
    """

    def __init__(
        self,
        frame: Any,
        name: str,
        columns: Optional[Sequence[str]] = None,
        folder: Optional[Path] = None,
    ) -> None:
        self.name = name
        self._folder = folder
        self._num_rows = 0
        self._names, chunks = _open_stream(frame, name, columns)
        self._kept = list(dict.fromkeys(self._names if columns is None else columns))
        check_columns(self, self._kept)
        self._file: Any = tempfile.TemporaryFile(dir=folder)
        weakref.finalize(self, self._file.close)
        self._write(_even(self._read(chunks)))

    def columns(self) -> list[str]:
        return self._names

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        check_columns(self, columns)
        if self._num_rows == 0:
            return
        self._file.seek(0)
        with pa.ipc.open_stream(self._file) as reader:
            for batch in reader:
                yield batch.select(list(columns))

    def location(self, row: int) -> str:
        return f'row {row}'

    def _read(self, chunks: Iterable[Any]) -> Iterator[Any]:
        r"""The tables of the stream, all with the same column types."""
        schema = None
        rest = iter(chunks)
        while True:
            try:
                table = pa.table(next(rest)).select(self._kept)
            except StopIteration:
                return
            except Exception as error:  # Each engine has errors of its own.
                raise ValueError(
                    f'{self.name} failed after {self._num_rows} rows, and nothing was '
                    f'written: {_reason(error)}'
                ) from error
            if len(table) == 0:
                continue
            arrays = [self._decoded(table, name) for name in self._kept]
            table = pa.table(arrays, names=self._kept)
            schema = schema or table.schema
            yield self._cast(table, schema)
            self._num_rows += len(table)

    def _decoded(self, table: Any, name: str) -> Any:
        cell = CellLocation(self, name, self._num_rows)
        return decode(pa.concat_arrays(table[name].chunks), cell)

    def _cast(self, table: Any, schema: Any) -> Any:
        if table.schema == schema:
            return table
        try:
            return table.cast(schema)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            one, other = (
                ', '.join(f'{field.name}: {field.type}' for field in each)
                for each in (schema, table.schema)
            )
            raise ValueError(
                f'{self.name} must have one type per column, got ({other}) in row '
                f'{self._num_rows} after ({one})'
            ) from None

    def _write(self, batches: Iterator[Any]) -> None:
        first = next(batches, None)
        if first is None:
            return
        try:
            with pa.ipc.new_stream(self._file, first.schema) as writer:
                writer.write_batch(first)
                for batch in batches:
                    writer.write_batch(batch)
            self._file.flush()
        except OSError as error:
            raise disk_error(error, self._folder) from error


def _open_stream(
    frame: Any, name: str, columns: Optional[Sequence[str]]
) -> ArrowStream:
    try:
        stream = arrow_stream(frame, columns)
    except Exception as error:  # Each engine has errors of its own.
        raise ValueError(
            f'{name} must be a table that can be read, got {type(frame).__name__}: '
            f'{_reason(error)}'
        ) from error
    if stream is None:
        raise ValueError(
            f'{name} must be a table of pandas, polars or Arrow, an object with an '
            'Arrow stream, or a mapping from names to columns, got '
            f'{type(frame).__name__}'
        )
    return stream


def _reason(error: Exception) -> str:
    first_line = str(error).strip().partition('\n')[0]
    return f'{type(error).__name__}: {printable(first_line)}'


def _even(tables: Iterable[Any]) -> Iterator[Any]:
    r"""Split tables into batches of equal length, so that equal rows have equal
    bytes."""
    pending: list[Any] = []
    num_rows = 0
    for table in tables:
        pending.append(table)
        num_rows += len(table)
        if num_rows >= _BATCH_ROWS:
            table = pa.concat_tables(pending)
            full = num_rows - num_rows % _BATCH_ROWS
            yield from _batches(table.slice(0, full))
            pending, num_rows = [table.slice(full)], num_rows - full
    if num_rows:
        yield from _batches(pa.concat_tables(pending))


def _batches(table: Any) -> list[Any]:
    batches: list[Any] = table.combine_chunks().to_batches(max_chunksize=_BATCH_ROWS)
    return batches
