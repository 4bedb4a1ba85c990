r"""Columns that are found by their names, where they are not given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

NAMES: dict[str, tuple[str, ...]] = {
    'user': (
        *('user', 'userid', 'uid', 'username', 'member', 'memberid', 'customer'),
        *('customerid', 'reader', 'readerid', 'reviewer', 'reviewerid', 'visitorid'),
    ),
    'item': (
        *('item', 'itemid', 'iid', 'product', 'productid', 'article', 'articleid'),
        *('movie', 'movieid', 'book', 'bookid', 'isbn', 'asin', 'parentasin', 'sku'),
        *('song', 'songid', 'track', 'trackid', 'artist', 'artistid', 'business'),
        *('businessid', 'game', 'gameid', 'recipe', 'recipeid'),
    ),
    'id': ('id',),
    'rating': ('rating', 'ratings', 'stars', 'score', 'overall', 'overallrating'),
    'timestamp': (
        *('timestamp', 'time', 'date', 'datetime', 'ts', 'createdat', 'when'),
        'unixreviewtime',
    ),
    'title': (
        *('title', 'name', 'itemname', 'itemtitle', 'productname', 'producttitle'),
        *('booktitle', 'movietitle'),
    ),
    'text': (
        *('description', 'text', 'summary', 'plot', 'blurb', 'overview', 'genre'),
        *('genres', 'category', 'categories', 'tags', 'brand', 'author', 'authors'),
    ),
}
"""What columns are called, in small letters without blanks and signs."""


def find_column(what: str, columns: Sequence[str], where: str) -> Optional[str]:
    r"""The column of a table that is called as such columns are.

    Args:
        what (str): A key of :obj:`NAMES`.
        columns (sequence of str): The names of all columns.
        where (str): The table, for the error.

    Returns:
        Its name; :obj:`None` where there is none.

    Raises:
        ValueError: If there are several.
    """
    found = find_all(what, columns)
    if len(found) > 1:
        raise ValueError(
            f'--{what} must be given: of the columns of {where} it may be any of '
            + ', '.join(map(repr, found))
        )
    return found[0] if found else None


def find_all(what: str, columns: Sequence[str]) -> list[str]:
    r"""All columns of a table that are called as such columns are, in their order."""
    return [name for name in columns if _plain(name) in NAMES[what]]


def _plain(name: str) -> str:
    return ''.join(filter(str.isalnum, name.casefold()))
