r"""Find the columns of a table by their headers."""

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
"""The known headers of each kind of column, in lower case, without spaces and
punctuation."""


def find_column(kind: str, columns: Sequence[str], table: str) -> Optional[str]:
    r"""Find the one column of a kind.

    Args:
        kind (str): A key of :obj:`NAMES`.
        columns (sequence of str): The headers of the table.
        table (str): The name of the table, for the error.

    Returns:
        The header, or :obj:`None` if no column matches.

    Raises:
        ValueError: If several columns match.
    """
    found = find_all(kind, columns)
    if len(found) > 1:
        raise ValueError(
            f'--{kind} must be given, because several columns of {table} match: '
            + ', '.join(map(repr, found))
        )
    return found[0] if found else None


def find_all(kind: str, columns: Sequence[str]) -> list[str]:
    r"""Find all columns of a kind, in table order."""
    return [name for name in columns if _normalize(name) in NAMES[kind]]


def _normalize(name: str) -> str:
    return ''.join(filter(str.isalnum, name.casefold()))
