from __future__ import annotations

import pytest

from pyg_irllrec.cli.find_columns import find_all, find_column


@pytest.mark.parametrize(
    ('kind', 'columns', 'found'),
    [
        ('user', ['rating', 'userId', 'movieId'], 'userId'),
        ('user', ['User ID', 'item'], 'User ID'),
        ('item', ['user_id', 'movie_id'], 'movie_id'),
        ('timestamp', ['a', 'b'], None),
        ('title', ['Name', 'plot'], 'Name'),
    ],
)
def test_columns_are_found_by_their_headers(kind, columns, found):
    assert find_column(kind, columns, 'x.csv') == found


def test_several_matches_are_an_error():
    with pytest.raises(ValueError, match=r"--item must be given, .* x\.csv .* 'asin',"):
        find_column('item', ['asin', 'item_id'], 'x.csv')
    assert find_all('text', ['genres', 'id', 'plot']) == ['genres', 'plot']
