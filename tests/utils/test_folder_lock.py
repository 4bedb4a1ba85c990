from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading

import pytest

from pyg_irllrec.utils import folder_lock
from pyg_irllrec.utils.folder_lock import FolderLock

HOLD = """
import fcntl, sys, time
file = open(sys.argv[1] + '/.lock', 'w')
fcntl.flock(file, fcntl.LOCK_EX)
print('held', flush=True)
time.sleep(60)
"""


def test_one_writer_at_a_time(tmp_path):
    folder = tmp_path / 'a' / 'b'
    with FolderLock(folder):
        for path in (folder, folder / '..' / 'b'):
            with pytest.raises(OSError, match='b is in use by another run: wait'):
                FolderLock(path)
        errors = []

        def other() -> None:
            try:
                FolderLock(folder)
            except OSError as error:
                errors.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(errors) == 1
    assert not folder.exists()  # It was created for the lock and stayed empty.
    (folder / 'mine').mkdir(parents=True)
    lock = FolderLock(folder)
    lock.close()
    lock.close()
    assert [path.name for path in folder.iterdir()] == ['mine']


def test_a_killed_process_releases_the_lock(tmp_path):
    process = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == 'held\n'
        with pytest.raises(OSError, match='in use by another run'):
            FolderLock(tmp_path)
    finally:
        process.kill()
        process.communicate()
    with FolderLock(tmp_path):
        pass


def test_the_folder_moves_and_its_place_stays_locked(tmp_path):
    folder, aside = tmp_path / 'run', tmp_path / 'run.1'
    folder.mkdir()
    (folder / 'file').touch()
    with FolderLock(folder) as lock:
        lock.move_folder(aside)
        assert [path.name for path in aside.iterdir()] == ['file']
        with pytest.raises(OSError, match='in use'):
            FolderLock(folder)
        with FolderLock(aside):
            pass
        (tmp_path / 'full' / 'x').mkdir(parents=True)
        with pytest.raises(OSError, match=r'cannot be moved to .*full'):
            lock.move_folder(tmp_path / 'full')


def test_a_removed_lock_file_is_not_a_lock(tmp_path, monkeypatch):
    """A lock on a file that was removed after open() would have no effect."""
    first = FolderLock(tmp_path)
    lock = folder_lock._lock
    tries = []

    def after_the_first(file: int) -> None:
        tries.append(file)
        first.close()
        lock(file)

    monkeypatch.setattr(folder_lock, '_lock', after_the_first)
    with FolderLock(tmp_path) as second:
        assert second.path.exists() and len(tries) == 2


def test_folders_that_cannot_be_written_or_locked(tmp_path, monkeypatch):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match='file cannot be created: File exists'):
        FolderLock(tmp_path / 'file')

    def no_lock(file: int) -> None:
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(folder_lock, '_lock', no_lock)
    with pytest.warns(UserWarning, match='nothing stops a second run'):
        FolderLock(tmp_path).close()

    def read_only(*args: object) -> int:
        raise OSError(errno.EROFS, 'Read-only file system')

    monkeypatch.setattr(os, 'open', read_only)
    with pytest.raises(OSError, match='cannot be written to: Read-only file system'):
        FolderLock(tmp_path)
