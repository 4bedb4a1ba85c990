from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

from pyg_irllrec.cli.find_columns import find_all, find_column
from pyg_irllrec.datasets._ingest.open_table import open_table
from pyg_irllrec.utils.optional import import_optional


class TableColumns(NamedTuple):
    r"""The columns to read from the tables of interactions and items."""

    user: Optional[str] = None
    item: Optional[str] = None
    rating: Optional[str] = None
    timestamp: Optional[str] = None
    items_id: Optional[str] = None
    item_text: Optional[list[str]] = None
    title: Optional[str] = None

    def arguments(self) -> dict[str, Any]:
        r"""Return the columns as arguments of
        :class:`~pyg_irllrec.datasets.InteractionDataset`."""
        found = self._asdict()
        found['item_id'] = found.pop('items_id')
        found['item_title'] = found.pop('title')
        return found

    def shown(self) -> Iterator[tuple[str, str]]:
        r"""Yield the name of each option and its columns, for printing."""
        for name, value in self._asdict().items():
            if value:
                words = ', '.join(value) if isinstance(value, list) else value
                yield name.replace('_', '-'), words


def find_table_columns(
    interactions: Path,
    items: Optional[Path],
    form: Mapping[str, Any],
    given: TableColumns,
    *,
    min_rating: Optional[float],
    needs_time: bool,
) -> TableColumns:
    r"""Complete the columns that the user named with those found by their headers.

    Args:
        interactions (pathlib.Path): The table of interactions.
        items (pathlib.Path, optional): The table of items.
        form (dict): :obj:`sep` and :obj:`encoding` of the tables.
        given (TableColumns): The columns that the user named.
        min_rating (float, optional): The lowest rating that counts as liked. A column
            of ratings is then required.
        needs_time (bool): Whether to look for a column of times.

    Raises:
        ValueError: If no column matches, or several do.
    """
    import_optional('pyarrow', 'pyg-irllrec prepare', 'data')
    table = str(interactions)
    names = open_table(interactions, **form).columns()
    found = given._asdict()
    wanted = ['user', 'item']
    wanted += ['rating'] * (min_rating is not None) + ['timestamp'] * needs_time
    for kind in wanted:
        found[kind] = found[kind] or find_column(kind, names, table)
        if found[kind] is None and kind != 'timestamp':
            why = ''
            if kind == 'rating':
                why = f'; ratings of at least {min_rating:g} count as liked'
            raise ValueError(
                f'--{kind} must name a column of {table}, which has '
                + ', '.join(map(repr, names))
                + _advice(names)
                + why
            )
    if items is None:
        _check_no_items(given)
        return TableColumns(**found)
    return TableColumns(**found | find_item_columns(items, form, found))


def find_item_columns(
    items: Path, form: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    r"""Complete the columns of the table of items, by the field names of
    :class:`TableColumns`, as :func:`find_table_columns` does.

    Raises:
        ValueError: If no column matches, or several do.
    """
    names, table = open_table(items, **form).columns(), str(items)
    key = given['items_id']
    if key is None and given['item'] not in names:
        # In a table of items, 'id' is the id of the item.
        key = find_column('item', names, table) or find_column('id', names, table)
        if key is None:
            raise ValueError(
                f'--items-id must name the column of ids in {table}, which has '
                + ', '.join(map(repr, names))
                + _advice(names)
            )
    title = given['title']
    texts = given['item_text']
    if not texts:
        title = title or find_column('title', names, table)
        texts = [] if title is None else [title]
        texts += [name for name in find_all('text', names) if name not in texts]
        if not texts:
            raise ValueError(
                f'--item-text must name columns of {table}, which has '
                + ', '.join(map(repr, names))
                + _advice(names)
            )
    return {'items_id': key, 'item_text': texts, 'title': title or texts[0]}


def _check_no_items(given: TableColumns) -> None:
    for name in ('items_id', 'item_text', 'title'):
        if getattr(given, name):
            raise ValueError(f'--{name.replace("_", "-")} needs --items')


def _advice(names: list[str]) -> str:
    joined = [sep for sep in '\t;|,' if len(names) == 1 and sep in names[0]]
    return f'; pass --sep {joined[0]!r}' if joined else ''
