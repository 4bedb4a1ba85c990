from __future__ import annotations

import errno
import os

import pytest
import torch

from pyg_irllrec.utils import files
from pyg_irllrec.utils.files import WriteError, atomic_write, free_path


def test_writes_whole_or_not_at_all(tmp_path):
    path = tmp_path / 'new' / 'file.txt'
    with atomic_write(path) as file:
        file.write('one')
        assert not path.exists()
    assert path.read_text() == 'one'
    with pytest.raises(RuntimeError), atomic_write(path) as file:
        file.write('tw')
        raise RuntimeError
    assert path.read_text() == 'one'
    assert [child.name for child in path.parent.iterdir()] == ['file.txt']


def test_the_file_and_the_cause_are_named(tmp_path, monkeypatch):
    path = tmp_path / 'file.txt'
    path.write_text('one')
    # For a full disk, torch raises an error about positions in an archive.
    monkeypatch.setattr(
        files, 'open', lambda path, *args, **_: open('/dev/full', *args), raising=False
    )
    words = r'file.txt could not be written: No space left on device \(its previous'
    with pytest.raises(WriteError, match=words), atomic_write(path, 'wb') as file:
        torch.save(torch.zeros(100_000), file)
    with pytest.raises(WriteError, match=words), atomic_write(path) as file:
        file.write('two')
    monkeypatch.undo()

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, 'Permission denied')

    for name in ('fsync', 'replace'):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, refuse)
            with pytest.raises(WriteError, match='written: Permission denied'):
                with atomic_write(path) as file:
                    file.write('two')
    assert path.read_text() == 'one' and list(tmp_path.iterdir()) == [path]
    new = path / 'below' / 'x'
    with pytest.raises(WriteError, match=r'x could not be written: \w+ .* directory$'):
        with atomic_write(new):
            pass


def test_the_last_of_two_writers_wins(tmp_path):
    path = tmp_path / 'file.txt'
    with atomic_write(path) as one:
        one.write('one' * 9999)
        one.flush()
        with atomic_write(path) as two:
            two.write('two')
        assert path.read_text() == 'two'
        one.write('one')
        one.flush()
        assert path.read_text() == 'two'
    assert path.read_text() == 'one' * 10_000
    assert list(tmp_path.iterdir()) == [path]


def test_files_of_killed_writers_are_removed_after_a_day(tmp_path):
    path = tmp_path / 'file[1].txt'
    old, new = (tmp_path / f'.file[1].txt.{k}.tmp' for k in (1, 2))
    other = tmp_path / '.file1.txt.3.tmp'
    for part in (old, new, other):
        part.touch()
    for part in (old, other):
        os.utime(part, (0, 0))
    with atomic_write(path) as file:
        file.write('one')
    assert set(tmp_path.iterdir()) == {path, new, other}


def test_other_errors_pass(tmp_path):
    for error in (RuntimeError('mine'), ValueError('mine'), KeyboardInterrupt()):
        with pytest.raises(type(error)), atomic_write(tmp_path / 'file'):
            raise error
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_torch_save_is_an_interruption(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / 'a', 'wb'):
        try:
            raise KeyboardInterrupt
        finally:  # The end of an archive that lacks a part.
            raise RuntimeError('unexpected pos 149696 vs 149588')


def test_a_free_path_is_the_first_missing_one(tmp_path):
    path = tmp_path / 'run'
    assert free_path(path) == tmp_path / 'run.1'
    for name in ('run.1', 'run.2', 'run.4', 'run.damaged-1'):
        (tmp_path / name).touch()
    assert free_path(path) == tmp_path / 'run.3'
    assert free_path(path, 'damaged-') == tmp_path / 'run.damaged-2'
