from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

import pyarrow as pa


class ArrowStream(NamedTuple):
    r"""Tables that come one after another, perhaps only once."""

    names: list[str]
    """The names of all columns."""
    chunks: Iterable[Any]
    """What :func:`pyarrow.table` takes, with all columns or those that are wanted."""


def arrow_stream(frame: Any, wanted: Optional[Sequence[str]]) -> Optional[ArrowStream]:
    r"""The stream of an object that has Arrow's C stream, or that makes one: a lazy
    frame of polars, a dataset or scanner of pyarrow, a dataset of Ray. :obj:`None` for
    other objects.

    Args:
        frame: The object.
        wanted (sequence of str, optional): The columns that are enough, so that others
            need not be read.
    """
    if hasattr(frame, 'collect_schema') and hasattr(frame, 'collect'):  # Of polars.
        names = frame.collect_schema().names()
        frame = frame.select(_known(wanted, names))
        lazy = hasattr(frame, 'collect_batches')  # Of polars 1.34 and newer.
        chunks = frame.collect_batches() if lazy else [frame.collect()]
        return ArrowStream(names, chunks)
    if hasattr(frame, 'scanner') and hasattr(frame, 'schema'):  # Of pyarrow.
        names = frame.schema.names
        return ArrowStream(names, frame.scanner(_known(wanted, names)).to_reader())
    if hasattr(frame, 'iter_batches') and hasattr(frame, 'select_columns'):  # Of Ray.
        names = frame.columns() or []
        frame = frame.select_columns(_known(wanted, names)) if names else frame
        chunks = frame.iter_batches(batch_size=None, batch_format='pyarrow')
        return ArrowStream(names, chunks)
    if hasattr(frame, '__arrow_c_stream__'):
        reader = pa.RecordBatchReader.from_stream(frame)
        return ArrowStream(reader.schema.names, reader)
    if hasattr(frame, 'to_reader'):  # A scanner of pyarrow.
        reader = frame.to_reader()
        return ArrowStream(reader.schema.names, reader)
    return None


def _known(wanted: Optional[Sequence[str]], names: Sequence[str]) -> list[str]:
    if wanted is None:
        return list(names)
    return [name for name in names if name in wanted]
