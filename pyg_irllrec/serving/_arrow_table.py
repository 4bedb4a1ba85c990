r"""Recommendations as tables of Apache Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from types import ModuleType
from typing import Any

from pyg_irllrec.typing import NodeId


def arrow_schema(
    pyarrow: ModuleType, users: Sequence[NodeId], items: Sequence[NodeId]
) -> Any:
    r"""The types of the columns: ids are integers where all of them are."""
    return pyarrow.schema(
        {
            'user': _id_type(pyarrow, users),
            'rank': pyarrow.int32(),
            'item': _id_type(pyarrow, items),
            'title': pyarrow.string(),
            'score': pyarrow.float32(),
        }
    )


def to_arrow(
    pyarrow: ModuleType, columns: Mapping[str, Sequence[Any]], schema: Any
) -> Any:
    r"""Columns as a table."""
    string = pyarrow.string()
    return pyarrow.table(
        {
            field.name: list(map(str, columns[field.name]))
            if field.type == string
            else columns[field.name]
            for field in schema
        },
        schema=schema,
    )


def _id_type(pyarrow: ModuleType, ids: Sequence[NodeId]) -> Any:
    whole = all(isinstance(each, Integral) for each in ids)
    return pyarrow.int64() if whole else pyarrow.string()
