from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DAY = 24 * 60 * 60


@contextmanager
def atomic_folder(path: Path, replace: bool) -> Iterator[Path]:
    r"""Makes a temporary folder beside :obj:`path` that takes its place once it is
    whole and on disk. If anything fails, :obj:`path` stays as it was. What a killed
    process has left is removed a day later.

    Args:
        path (Path): The folder.
        replace (bool): Whether a folder that is there by then is replaced.
            Otherwise another process was faster, and its folder stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f'.{path.name}-*'):
        if left.stat().st_mtime < time.time() - _DAY:
            shutil.rmtree(left, ignore_errors=True)
    part = path.with_name(f'.{path.name}-{secrets.token_hex(4)}')
    part.mkdir()
    try:
        yield part
        _to_disk(part)
        if replace and path.exists():
            _swap(part, path)
        else:
            _rename(part, path)
        _to_disk(path.parent)
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


def _to_disk(folder: Path) -> None:
    r"""The entries of a folder are on disk when this returns."""
    if os.name == 'nt':  # It cannot open folders, and needs no such thing.
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
