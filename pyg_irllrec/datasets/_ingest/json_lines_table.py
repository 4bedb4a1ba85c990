from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.read_errors import check_file, read_errors
from pyg_irllrec.datasets._ingest.text_column import text_column
from pyg_irllrec.datasets._ingest.text_stream import (
    check_content,
    check_encoding,
    open_text,
)
from pyg_irllrec.datasets._ingest.to_array import to_array

_BATCH_ROWS = 1 << 16
_KIND = 'a file with one JSON object per line'


class JsonLinesTable:
    r"""A file with one JSON object per line. Missing fields are null.

    Args:
        path (Path): The file.
        encoding (str): Its encoding. (default: :obj:`"utf-8"`)
        texts (sequence of str): The fields that hold texts. (default: :obj:`()`)
    """

    def __init__(
        self, path: Path, encoding: str = 'utf-8', texts: Sequence[str] = ()
    ) -> None:
        check_encoding(encoding)
        self.path = check_file(path)
        self.name = str(path)
        self._encoding = encoding
        self._texts = texts

    def columns(self) -> list[str]:
        r"""The names of all fields in the first lines."""
        names: dict[str, None] = {}
        for row in islice(self._rows(), _BATCH_ROWS):
            names.update(dict.fromkeys(row))
        if not names:
            raise ValueError(f'{self.name} is empty')
        return list(names)

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        rows, start = self._rows(), 0
        while batch := list(islice(rows, _BATCH_ROWS)):
            arrays = []
            for name in columns:
                convert = text_column if name in self._texts else to_array
                cell = CellLocation(self, name, start)
                arrays.append(convert([row.get(name) for row in batch], cell))
            yield pa.record_batch(arrays, names=list(columns))
            start += len(batch)

    def location(self, row: int) -> str:
        return f'line {row + 1}'

    def _rows(self) -> Iterator[dict[str, Any]]:
        r"""The object of each line that is not empty."""
        decode = json.JSONDecoder(object_pairs_hook=_distinct).decode
        number = 0
        with read_errors(self.name, _KIND, self._encoding):
            check_content(self.path, self._encoding)
            with open_text(self.path, self._encoding) as text:
                for line in text:
                    if not line.strip():
                        continue
                    number += 1
                    try:
                        row = decode(line)
                        reason = '' if isinstance(row, dict) else 'not an object'
                    except (ValueError, RecursionError) as error:
                        row, reason = None, str(error)[:80]
                    if not isinstance(row, dict):
                        advice = 'read CSV files with from_csv'
                        if line.lstrip().startswith('['):
                            advice = 'write the objects of an array line by line'
                        raise ValueError(
                            f'{self.name}, line {number}: expected one JSON object per '
                            f'line, got {line.strip()[:80]!r} ({reason}; {advice})'
                        )
                    yield row


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError('a field is given twice')
    return fields
