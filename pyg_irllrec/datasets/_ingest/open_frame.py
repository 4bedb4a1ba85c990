from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import pyarrow as pa

from pyg_irllrec.datasets._ingest.frame_table import FrameTable
from pyg_irllrec.datasets._ingest.stream_table import StreamTable
from pyg_irllrec.datasets._ingest.table import Table


def open_frame(
    frame: Any,
    name: str,
    columns: Optional[Sequence[str]] = None,
    texts: Sequence[str] = (),
    folder: Optional[Path] = None,
) -> Table:
    r"""Open a table that is not in a file.

    Args:
        frame: A table in memory, or an object with a stream, which is read at once.
        name (str): Its name in error messages.
        columns (sequence of str, optional): The columns of a stream to keep.
            (default: :obj:`None`, all)
        texts (sequence of str): The columns that hold texts. (default: :obj:`()`)
        folder (Path, optional): The folder of temporary files. (default: :obj:`None`)
    """
    has_names = hasattr(frame, 'keys') and hasattr(frame, 'columns')  # pandas
    if has_names or isinstance(frame, (Mapping, pa.Table)):
        return FrameTable(frame, name, texts)
    return StreamTable(frame, name, columns, folder)
