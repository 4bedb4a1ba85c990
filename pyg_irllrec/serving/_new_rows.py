r"""The input of an update: pairs of ids, and users and items with titles and texts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor

from pyg_irllrec.utils.argument_checks import is_iterable
from pyg_irllrec.utils.optional import import_optional

_TEXTS = ('title', 'text')


class NewPairs(NamedTuple):
    r"""Interactions with original ids."""

    users: list[str]
    """The distinct user ids."""
    items: list[str]
    """The distinct item ids."""
    pairs: Tensor
    """The distinct interactions as indices into these lists, of shape
    :math:`(2, E)`."""
    liked: Tensor
    """Which interactions are liked, of shape :math:`(E)`."""


class NewNode(NamedTuple):
    r"""The title and the text of a user or item; :obj:`""` if not given."""

    title: str = ''
    text: str = ''


def read_pairs(interactions: Any, min_rating: Optional[float]) -> NewPairs:
    r"""Read interactions with original ids.

    Args:
        interactions: Pairs of ids; a tensor of ids, of shape :math:`(2, E)`; or a
            table, in memory or in a file, with the columns :obj:`user` and :obj:`item`.
        min_rating (float, optional): The lowest rating that counts as liked. A table
            then needs the column :obj:`rating`. Pairs and tensors are liked.

    Raises:
        ValueError: If it is none of these, or a table has no ratings.
    """
    import_optional('pyarrow', 'Bundle.update()', 'data')
    from pyg_irllrec.datasets._ingest.read_interactions import (
        InteractionColumns,
        read_interactions,
    )

    rating = None if min_rating is None else 'rating'
    if isinstance(interactions, Tensor):
        interactions, rating = _columns_of_tensor(interactions), None
    elif isinstance(interactions, (list, tuple)):
        interactions, rating = _columns_of_pairs(interactions), None
    table = _open(interactions, "'interactions'")
    if rating is not None and rating not in table.columns():
        raise ValueError(
            f"'interactions' must have a column 'rating', because only ratings of at "
            f'least {min_rating:g} count as liked, got {table.name} without it: pass '
            'pairs if all of them are liked'
        )
    columns = InteractionColumns('user', 'item', rating)
    read = read_interactions([table], columns, 'last', 'auto')
    users, items = _as_texts(read.user_ids), _as_texts(read.item_ids)
    liked = torch.ones(read.edge_index.size(1), dtype=torch.bool)
    if read.rating is not None and min_rating is not None:
        liked = read.rating >= min_rating
    return NewPairs(users, items, read.edge_index, liked)


def read_nodes(argument: str, nodes: Any, side: str) -> dict[str, NewNode]:
    r"""Read titles and texts of users or items by their original ids.

    Args:
        argument (str): The name of the argument, for error messages.
        nodes: A dictionary from ids to texts; or a table, in memory or in a file, with
            a column :obj:`id` or the name of the side, and columns :obj:`title`,
            :obj:`text` or both.
        side (str): :obj:`"user"` or :obj:`"item"`.

    Raises:
        ValueError: If it is none of these, or an id has two texts.
    """
    import_optional('pyarrow', 'Bundle.update()', 'data')
    from pyg_irllrec.datasets._ingest.cell_location import CellLocation
    from pyg_irllrec.datasets._ingest.id_encoder import IdEncoder
    from pyg_irllrec.datasets._ingest.ids import to_ids
    from pyg_irllrec.datasets._ingest.node_texts import TextColumns, read_node_texts
    from pyg_irllrec.datasets._ingest.table import check_columns

    if isinstance(nodes, Mapping):
        if len(nodes) == 0:
            return {}
        if any(text is None or isinstance(text, str) for text in nodes.values()):
            nodes = {'id': [*map(str, nodes)], 'text': _texts_of(argument, nodes)}
    table = _open(nodes, f"'{argument}'")
    columns = table.columns()
    id_name = side if side in columns and 'id' not in columns else 'id'
    check_columns(table, [id_name])
    encoder, row = IdEncoder(), 0
    for batch in table.batches([id_name]):
        cell = CellLocation(table, id_name, row)
        encoder.add(to_ids(batch[id_name], cell), cell)
        row += len(batch)
    if row == 0:
        return {}
    ids = encoder.finish().ids
    found = {
        name: read_node_texts(TextColumns(table, id_name, [name]), ids, side).texts
        for name in _TEXTS
        if name in columns
    }
    blank = [''] * len(ids)
    titles, texts = (
        found[name].to_pylist() if name in found else blank for name in _TEXTS
    )
    given = (NewNode(title.strip(), text.strip()) for title, text in zip(titles, texts))
    return dict(zip(_as_texts(ids), given))


def _texts_of(argument: str, nodes: Mapping[Any, Any]) -> list[str]:
    for each, text in nodes.items():
        if text is not None and not isinstance(text, str):
            raise ValueError(
                f"'{argument}' must map ids to texts, got {text!r:.80} for {each!r:.80}"
            )
    return [text or '' for text in nodes.values()]


def _open(given: Any, name: str) -> Any:
    from pyg_irllrec.datasets._ingest.open_frame import open_frame
    from pyg_irllrec.datasets._ingest.open_table import open_table

    if isinstance(given, (str, os.PathLike)):
        return open_table(Path(given), texts=_TEXTS)
    return open_frame(given, name, texts=_TEXTS)


def _columns_of_tensor(pairs: Tensor) -> dict[str, Any]:
    if pairs.dim() != 2 or pairs.size(0) != 2:
        raise ValueError(
            "'interactions' must have shape (2, E), users above items, got a tensor of "
            f'shape {tuple(pairs.shape)}'
        )
    return {'user': pairs[0], 'item': pairs[1]}


def _columns_of_pairs(pairs: Any) -> dict[str, list[str]]:
    for place, pair in enumerate(pairs):
        if isinstance(pair, str) or not is_iterable(pair) or len([*pair]) != 2:
            raise ValueError(
                "'interactions' must be pairs of a user and an item, such as "
                f"[('anna', 'dune')], got {str(pair)[:80]!r} at index {place}"
            )
    users, items = ([str(end) for end in ends] for ends in zip(*pairs))
    return {'user': users, 'item': items}


def _as_texts(ids: Any) -> list[str]:
    return [str(each) for each in ids.to_pylist()]
