r"""Recommendations as Apache Arrow tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from types import ModuleType
from typing import Any

from pyg_irllrec.typing import NodeId


def arrow_schema(
    pyarrow: ModuleType, users: Sequence[NodeId], items: Sequence[NodeId]
) -> Any:
    r"""The schema of a table. An id column has 64-bit integers if all ids are such
    integers, and strings otherwise."""
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
    r"""Convert columns to a table."""
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
    r"""Whether all ids are integers that fit into 64 bits."""
    return all(
        isinstance(each, Integral)
        and not isinstance(each, bool)
        and -(2**63) <= int(each) < 2**63
        for each in ids
    )


def _id_type(pyarrow: ModuleType, ids: Sequence[NodeId]) -> Any:
    return pyarrow.int64() if are_int64(ids) else pyarrow.string()
