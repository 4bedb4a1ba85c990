from __future__ import annotations

from typing import Any

import pyarrow as pa


def decode(values: Any) -> Any:
    r"""A column without dictionaries, whose strings are all of one type,
    :obj:`large_string`."""
    if pa.types.is_dictionary(values.type):
        # The dictionary first: Arrow cannot decode views of strings.
        words = decode(values.dictionary)
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
