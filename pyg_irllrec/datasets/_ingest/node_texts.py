from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.cell_location import CellLocation
from pyg_irllrec.datasets._ingest.columns import to_texts
from pyg_irllrec.datasets._ingest.ids import match_ids
from pyg_irllrec.datasets._ingest.table import Table, check_columns
from pyg_irllrec.typing import IntArray

_SEPARATOR = pa.scalar('. ', pa.large_string())


class TextColumns(NamedTuple):
    r"""A table, and its columns with the ids and texts of users or items."""

    table: Table
    id: str
    text: Sequence[str]


class NodeTexts(NamedTuple):
    r"""One text per node."""

    texts: Any
    """An Arrow array of large_string, in the order of the nodes."""
    num_texts: int
    """The number of nodes with a text."""
    num_unknown: int
    """The number of rows whose id belongs to no node."""


def read_node_texts(columns: TextColumns, ids: Any, side: str) -> NodeTexts:
    r"""Join texts to nodes by id.

    Args:
        columns (TextColumns): The table and columns of the texts.
        ids (pyarrow.Array): The ids of the nodes, sorted.
        side (str): :obj:`"user"` or :obj:`"item"`, for error messages.

    Raises:
        ValueError: If an id has two texts, or no id belongs to a node.
    """
    table, id_name, text_names = columns
    names = list(dict.fromkeys([id_name, *text_names]))
    check_columns(table, names)
    integers = pa.types.is_integer(ids.type)
    nodes: list[IntArray] = []
    texts: list[Any] = []
    row = 0
    for batch in table.batches(names):
        cell = CellLocation(table, id_name, row)
        keys = match_ids(batch[id_name], cell, integers)
        node = pc.index_in(keys, value_set=ids)
        has_node = pc.is_valid(node)
        parts = [
            to_texts(batch[name], cell._replace(column=name)) for name in text_names
        ]
        text = _join(parts)
        nodes.append(node.filter(has_node).to_numpy())
        texts.append(text.filter(has_node))
        row += len(batch)
    num_found = sum(map(len, nodes))
    if num_found == 0:
        raise ValueError(
            f'{table.name} must hold ids of {side}s with interactions in column '
            f'{id_name!r}, got none in {row} rows: check the file and the column'
        )
    all_texts = pa.chunked_array(texts).combine_chunks()
    ordered = _order_by_node(np.concatenate(nodes), all_texts, ids, table)
    num_texts = pc.sum(pc.not_equal(ordered, '')).as_py()
    return NodeTexts(ordered, num_texts, row - num_found)


def _join(parts: Sequence[Any]) -> Any:
    r"""Join columns into texts like 'Toy Story (1995). Adventure', without nulls."""
    text, *rest = parts
    for part in rest:
        # Not null_handling='skip', which drops rows where all values are null.
        both = pc.binary_join_element_wise(text, part, _SEPARATOR)
        text = pc.coalesce(both, text, part)
    return pc.fill_null(text, '')


def _order_by_node(nodes: IntArray, texts: Any, ids: Any, table: Table) -> Any:
    r"""Put texts in the order of nodes. A node may have no text, or the same text in
    several rows."""
    distinct, first, which = np.unique(nodes, return_index=True, return_inverse=True)
    if len(distinct) < len(nodes):
        differs = pc.not_equal(texts, texts.take(first[which])).to_numpy(
            zero_copy_only=False
        )
        if differs.any():
            row = int(differs.argmax())
            one, other = (
                texts[each].as_py()[:40] for each in (int(first[which[row]]), row)
            )
            raise ValueError(
                f'{table.name} must hold one text per id, got two for '
                f'{ids[nodes[row]].as_py()!r}: {one!r} and {other!r}'
            )
    rows = np.full(len(ids), -1)
    rows[distinct] = first
    index = pa.array(rows, mask=rows < 0)
    return pc.fill_null(texts.take(index), '')
