from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

import pyarrow as pa


class ArrowStream(NamedTuple):
    r"""A sequence of tables, which may be readable only once."""

    names: list[str]
    """The names of all columns."""
    chunks: Iterable[Any]
    """Inputs of :func:`pyarrow.table`, with all columns or only the requested ones."""


def arrow_stream(frame: Any, columns: Optional[Sequence[str]]) -> Optional[ArrowStream]:
    r"""Return the stream of an object that has Arrow's C stream or can make one: a
    polars lazy frame, a pyarrow dataset or scanner, a Ray dataset. Return :obj:`None`
    for other objects.

    Args:
        frame: The object.
        columns (sequence of str, optional): The columns to read, if the object can
            leave out others.
    """
    if hasattr(frame, 'collect_schema') and hasattr(frame, 'collect'):  # polars
        names = frame.collect_schema().names()
        frame = frame.select(_select(columns, names))
        lazy = hasattr(frame, 'collect_batches')  # polars 1.34 or newer
        chunks = frame.collect_batches() if lazy else [frame.collect()]
        return ArrowStream(names, chunks)
    if hasattr(frame, 'scanner') and hasattr(frame, 'schema'):  # pyarrow
        names = frame.schema.names
        return ArrowStream(names, frame.scanner(_select(columns, names)).to_reader())
    if hasattr(frame, 'iter_batches') and hasattr(frame, 'select_columns'):  # Ray
        names = frame.columns() or []
        frame = frame.select_columns(_select(columns, names)) if names else frame
        chunks = frame.iter_batches(batch_size=None, batch_format='pyarrow')
        return ArrowStream(names, chunks)
    if hasattr(frame, '__arrow_c_stream__'):
        reader = pa.RecordBatchReader.from_stream(frame)
        return ArrowStream(reader.schema.names, reader)
    if hasattr(frame, 'to_reader'):  # a pyarrow scanner
        reader = frame.to_reader()
        return ArrowStream(reader.schema.names, reader)
    return None


def _select(columns: Optional[Sequence[str]], names: Sequence[str]) -> list[str]:
    if columns is None:
        return list(names)
    return [name for name in names if name in columns]
