from __future__ import annotations

import pytest

from pyg_irllrec.cli.table_columns import (
    TableColumns,
    find_item_columns,
    find_table_columns,
)

FORM = {'sep': ',', 'encoding': 'utf-8'}
NEEDS = {'min_rating': None, 'needs_time': True}


@pytest.fixture
def tables(tmp_path):
    ratings, books = tmp_path / 'ratings.csv', tmp_path / 'books.csv'
    ratings.write_text('User ID,book_id,stars,date\n')
    books.write_text('isbn,Title,genres,summary\n')
    return ratings, books


def test_columns_are_found_by_their_headers(tables):
    found = find_table_columns(*tables, FORM, TableColumns(), **NEEDS)
    texts = ['Title', 'genres', 'summary']
    assert found == TableColumns(
        'User ID', 'book_id', None, 'date', 'isbn', texts, 'Title'
    )
    assert dict(found.shown())['item-text'] == 'Title, genres, summary'
    assert 'rating' not in dict(found.shown())
    assert found.arguments()['item_title'] == 'Title'
    assert found.arguments()['item_id'] == 'isbn'


def test_id_in_a_table_of_items_is_the_item_id(tables):
    ratings, books = tables
    for header, key in (('Id,title', 'Id'), ('id,isbn,title', 'isbn')):
        books.write_text(f'{header}\n')
        assert (
            find_table_columns(ratings, books, FORM, TableColumns(), **NEEDS)[4] == key
        )
        found = find_item_columns(books, FORM, TableColumns()._asdict())
        assert found['items_id'] == key
    ratings.write_text('id,user\n')  # In a table of interactions, id can be anything.
    with pytest.raises(ValueError, match='--item must name'):
        find_table_columns(ratings, None, FORM, TableColumns(), **NEEDS)


def test_named_columns_take_precedence(tables):
    given = TableColumns(user='stars', item_text=['summary'])
    found = find_table_columns(*tables, FORM, given, **NEEDS)
    assert found.user == 'stars'
    assert found.item_text == ['summary'] and found.title == 'summary'


def test_missing_columns_are_errors(tables):
    ratings, books = tables
    with pytest.raises(ValueError, match='--title needs --items'):
        find_table_columns(ratings, None, FORM, TableColumns(title='x'), **NEEDS)
    with pytest.raises(
        ValueError, match=r"--user must name a column .*; pass --sep ';'"
    ):
        ratings.write_text('user;item\n')
        find_table_columns(ratings, None, FORM, TableColumns(), **NEEDS)
    with pytest.raises(ValueError, match='--items-id must name the column of ids'):
        books.write_text('number,title\n')
        find_item_columns(books, FORM, TableColumns()._asdict())
    with pytest.raises(ValueError, match='--item-text must name columns of'):
        books.write_text('isbn,pages\n')
        find_item_columns(books, FORM, TableColumns()._asdict())
