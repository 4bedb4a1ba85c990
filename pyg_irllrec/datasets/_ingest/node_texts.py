from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pyg_irllrec.datasets._ingest.columns import (
    CellLocation,
    integers_of,
    to_ids,
    to_texts,
)
from pyg_irllrec.datasets._ingest.tables import Table, check_columns

_SEPARATOR = pa.scalar('. ', pa.large_string())


class TextColumns(NamedTuple):
    r"""Where the texts of users or of items are."""

    table: Table
    id: str
    text: Sequence[str]


class NodeTexts(NamedTuple):
    r"""A text a node."""

    texts: Any
    """An Arrow array of large_string, in the order of the nodes."""
    num_texts: int
    """How many nodes have a text."""
    num_unknown: int
    """How many rows had an id that no node has."""


def read_node_texts(source: TextColumns, ids: Any, side: str) -> NodeTexts:
    r"""Joins texts to nodes by id.

    Args:
        source (TextColumns): Where they are.
        ids (pyarrow.Array): The ids of the nodes, sorted.
        side (str): :obj:`"user"` or :obj:`"item"`, for errors.

    Raises:
        ValueError: If an id has two texts, or no id is known.
    """
    table, id_name, text_names = source
    names = list(dict.fromkeys([id_name, *text_names]))
    check_columns(table, names)
    nodes: list[npt.NDArray[np.int64]] = []
    texts: list[Any] = []
    row = 0
    for batch in table.batches(names):
        cell = CellLocation(table, id_name, row)
        node = _nodes_of(to_ids(batch[id_name], cell), ids)
        known = pc.is_valid(node)
        text = _join([to_texts(batch[name]) for name in text_names])
        nodes.append(node.filter(known).to_numpy())
        texts.append(text.filter(known))
        row += len(batch)
    num_known = sum(map(len, nodes))
    if num_known == 0:
        raise ValueError(
            f'{table.name} must hold texts of {side}s of the interactions by their '
            f'ids, got {row} rows, none with an id of a {side}, in column '
            f'{id_name!r}: is it the right file, and the right column?'
        )
    found = pa.chunked_array(texts).combine_chunks()
    ordered = _in_order(np.concatenate(nodes), found, ids, table)
    num_texts = pc.sum(pc.not_equal(ordered, '')).as_py()
    return NodeTexts(ordered, num_texts, row - num_known)


def _nodes_of(wanted: Any, ids: Any) -> Any:
    r"""The place of each wanted id in :obj:`ids`, null where there is none."""
    if pa.types.is_integer(ids.type) and not pa.types.is_integer(wanted.type):
        wanted = integers_of(wanted)
    elif pa.types.is_integer(wanted.type):
        wanted = wanted.cast(ids.type)
    return pc.index_in(wanted, value_set=ids)


def _join(parts: Sequence[Any]) -> Any:
    r"""'Toy Story (1995). Adventure' of what is not null, else an empty text."""
    text, *rest = parts
    for part in rest:
        # Not null_handling='skip', which drops the rows where all is null.
        both = pc.binary_join_element_wise(text, part, _SEPARATOR)
        text = pc.coalesce(both, text, part)
    return pc.fill_null(text, '')


def _in_order(nodes: npt.NDArray[np.int64], texts: Any, ids: Any, table: Table) -> Any:
    r"""The texts of all nodes, of which some may be there twice and some not."""
    there, first, which = np.unique(nodes, return_index=True, return_inverse=True)
    if len(there) < len(nodes):
        # Of an id that is there again, the text must be too.
        differs = pc.not_equal(texts, texts.take(first[which])).to_numpy(
            zero_copy_only=False
        )
        if differs.any():
            row = int(differs.argmax())
            one, other = (
                texts[at].as_py()[:40] for at in (int(first[which[row]]), row)
            )
            raise ValueError(
                f'{table.name} must hold one text an id, got two of '
                f'{ids[nodes[row]].as_py()!r}: {one!r} and {other!r}'
            )
    at = np.full(len(ids), -1)
    at[there] = first
    index = pa.array(at, mask=at < 0)
    return pc.fill_null(texts.take(index), '')
