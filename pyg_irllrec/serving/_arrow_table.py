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
    r"""The types of the columns: ids are integers where all of
    them are, of 64 bits."""
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


def are_int64(ids: Sequence[object]) -> bool:
    r"""Whether all of them are integers that a column of Arrow holds."""
    return all(
        isinstance(each, Integral)
        and not isinstance(each, bool)
        and -(2**63) <= int(each) < 2**63
        for each in ids
    )


def _id_type(pyarrow: ModuleType, ids: Sequence[NodeId]) -> Any:
    return pyarrow.int64() if are_int64(ids) else pyarrow.string()
