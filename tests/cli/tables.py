"""Tables such as users have: tabs, unusual headers, ratings, string ids."""

from __future__ import annotations

import csv
from pathlib import Path

from pyg_irllrec.datasets import SyntheticIntents


def write_table(
    path: Path, header: list[str], rows: list[list[object]], sep: str = ','
) -> None:
    with open(path, 'w', newline='') as file:
        table = csv.writer(file, delimiter=sep)
        table.writerow(header)
        table.writerows(rows)


def isbn(item: int) -> str:
    """An ISBN: most have leading zeros, and some end in X."""
    return f'01951534{item:02}' if item else '0002005018X'


def write_books(folder: Path, num_users: int = 40, num_items: int = 30) -> None:
    """Write ratings.tsv and books.tsv, and the same tables with commas and headers that
    ``prepare`` finds, ratings.csv and books.csv."""
    data = SyntheticIntents(num_users, num_items, num_intents=4)[0]
    rates = data['user', 'rates', 'item']
    names = {0: 'anna', 1: 'ben'}
    rows = []
    for index in (rates.edge_index, rates.val_edge_label_index):
        for user, item in index.t().tolist():
            k = len(rows)
            row = [4 + k % 2, names.get(user, f'r{user}'), 'web', isbn(item), 1000 + k]
            rows.append(row)
    # Two disliked items of known users, and a user who likes nothing.
    rows += [[1, 'anna', 'app', isbn(0), 5], [2, 'ben', 'app', isbn(1), 6]]
    rows += [[1, 'sad', 'app', isbn(2), 7]]
    header = ['stars', 'reader', 'source', 'book', 'read_at']
    write_table(folder / 'ratings.tsv', header, rows, '\t')
    texts = data['item'].profile_text
    books = [[f'Book {k}', isbn(k), text] for k, text in enumerate(texts)]
    write_table(folder / 'books.tsv', ['title', 'isbn', 'blurb'], books, '\t')
    names = ['rating', 'user_id', 'source', 'book_id', 'timestamp']
    write_table(folder / 'ratings.csv', names, rows)
    write_table(folder / 'books.csv', ['title', 'book_id', 'description'], books)
