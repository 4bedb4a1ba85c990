from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from pyg_irllrec.text._sqlite_pages import read_rows

VALUES = [
    None,
    0,
    1,
    2,
    -1,
    300,
    -(2**17),
    2**30,
    -(2**40),
    2**62,
    0.5,
    'ü',
    b'',
    b'\0',
]
# In pages of 4096 bytes, a record of 8153 fills the first one to its last byte.
SIZES = (400, 489, 490, 4057, 4058, 4061, 5000, *range(8140, 8154), 99_999)
LONG = [b'x' * size for size in SIZES]


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'a.sqlite'


def connect(path, page_size=4096):
    db = sqlite3.connect(path)
    db.execute(f'PRAGMA page_size = {page_size}')
    db.execute('PRAGMA journal_mode = WAL')
    db.execute('CREATE TABLE t (a, b)')
    return db


def rows_of(path):
    """The last row with two columns for each row number."""
    return {number: row for number, row in read_rows(path) if len(row) == 2}


@pytest.mark.parametrize('page_size', [512, 4096, 32768])
def test_all_rows_of_a_file(path, page_size):
    rows = [(k, value) for k, value in enumerate([*VALUES, *LONG] * 9 + [None] * 2000)]
    with closing(connect(path, page_size)) as db, db:
        db.executemany('INSERT INTO t VALUES (?, ?)', rows)
    assert rows_of(path) == {k + 1: row for k, row in enumerate(rows)}
    path.with_name('a.sqlite-wal').touch()
    assert len(rows_of(path)) == len(rows)


def test_rows_that_are_only_in_the_log(path):
    rows = [(k, f'text {k}') for k in range(500)]
    with closing(connect(path)) as db:
        with db:
            db.executemany('INSERT INTO t VALUES (?, ?)', rows)
        assert path.with_name('a.sqlite-wal').stat().st_size > 10_000
        assert rows_of(path) == {k + 1: row for k, row in enumerate(rows)}


def test_a_damaged_file_yields_rows_or_nothing(path):
    with closing(connect(path)) as db, db:
        db.executemany('INSERT INTO t VALUES (?, ?)', [(1, value) for value in LONG])
    content = path.read_bytes()
    rng = random.Random(0)
    for _ in range(200):
        changed = bytearray(content)
        for _ in range(3):
            page = rng.randrange(len(changed) // 4096) * 4096
            changed[page + rng.choice([*range(16), rng.randrange(4096)])] ^= 0xFF
        path.write_bytes(changed[: rng.choice([len(changed), rng.randrange(1, 9999)])])
        for number, row in read_rows(path):
            assert isinstance(number, int) and isinstance(row, tuple)


def test_the_largest_row_numbers(path):
    numbers = [2**55, 2**56 - 1, 2**56, 2**62 + 5]
    with closing(connect(path)) as db, db:
        for number in numbers:
            db.execute('INSERT INTO t (rowid, a, b) VALUES (?, ?, 1)', (number, number))
    assert rows_of(path) == {number: (number, 1) for number in numbers}
