from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STALE_SECONDS = 24 * 60 * 60


@contextmanager
def atomic_folder(path: Path, replace: bool) -> Iterator[Path]:
    r"""Make a temporary folder beside :obj:`path`, and move it there once it is
    complete and on disk. If anything fails, :obj:`path` stays as it was. Folders that
    killed processes left behind are removed after a day.

    Args:
        path (Path): The folder.
        replace (bool): Whether to replace an existing folder. If not, the folder of
            another process that was faster stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for stale in path.parent.glob(f'.{path.name}-*'):
        if stale.stat().st_mtime < time.time() - _STALE_SECONDS:
            shutil.rmtree(stale, ignore_errors=True)
    part = path.with_name(f'.{path.name}-{secrets.token_hex(4)}')
    part.mkdir()
    try:
        yield part
        _flush(part)
        if replace and path.exists():
            _swap(part, path)
        else:
            _rename(part, path)
        _flush(path.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _rename(part: Path, path: Path) -> None:
    try:
        os.rename(part, path)
    except OSError:
        if not path.exists():
            raise
        shutil.rmtree(part)


def _swap(part: Path, path: Path) -> None:
    old = part.with_name(f'{part.name}-old')
    os.rename(path, old)
    try:
        os.rename(part, path)
    except BaseException:
        os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _flush(folder: Path) -> None:
    r"""Flush the entries of a folder to disk."""
    if os.name == 'nt':  # Windows cannot open folders.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
