from __future__ import annotations

import sqlite3
from contextlib import closing

from pyg_irllrec.text._sqlite_file import SQLiteFile, rescue_rows


def test_waits_for_other_processes_unless_exclusive(tmp_path, monkeypatch):
    path, timeouts, connect = (
        tmp_path / 'new' / 'folder' / 'a.sqlite',
        [],
        sqlite3.connect,
    )

    def recorded(path, timeout, **options):
        timeouts.append(timeout)
        return connect(path, timeout=timeout, **options)

    monkeypatch.setattr(sqlite3, 'connect', recorded)
    for exclusive in (False, True):
        with SQLiteFile(path, 'path', 't (a)', exclusive):
            pass
    assert timeouts == [60, 0.2]


def test_a_rescue_ignores_files_left_beside_it(tmp_path):
    path, table = tmp_path / 'a.sqlite', 't (a PRIMARY KEY, b)'
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f'CREATE TABLE {table}')
        db.execute("INSERT INTO t VALUES ('key', 'value')")
    (tmp_path / 'a.sqlite.rescued').write_bytes(b'half of it')
    log = tmp_path / 'a.sqlite-wal'
    log.write_bytes(b'of the damaged file')
    assert '(1 read, 0 damaged)' in rescue_rows(path, table, lambda row: True)
    assert not log.exists() and (tmp_path / 'a.sqlite.damaged-1-wal').exists()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute('SELECT * FROM t').fetchall() == [('key', 'value')]
