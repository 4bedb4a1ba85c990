from __future__ import annotations

from typing import Any

import pyarrow as pa

from pyg_irllrec.datasets._ingest.cell_location import CellLocation


def decode(values: Any, cell: CellLocation) -> Any:
    r"""Decode a column: without dictionaries, and with all strings in UTF-8 and of one
    type, :obj:`large_string`."""
    values = _decode(values)
    if pa.types.is_large_string(values.type) or pa.types.is_nested(values.type):
        try:
            values.validate(full=True)
        except pa.ArrowInvalid:
            _fail(values, cell)
    return values


def _decode(values: Any) -> Any:
    if pa.types.is_dictionary(values.type):
        # The dictionary first: Arrow cannot decode views of strings.
        words = _decode(values.dictionary)
        values = pa.DictionaryArray.from_arrays(values.indices, words)
        return values.dictionary_decode()
    kind = values.type
    if (
        pa.types.is_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    ):
        values = values.cast(pa.large_string())
    return values


def _fail(values: Any, cell: CellLocation) -> None:
    for row, value in enumerate(values):
        try:
            value.as_py()
        except UnicodeDecodeError as error:
            cell.fail('holds a text that is not in UTF-8', row, error.object)
    cell.fail('holds damaged values')
