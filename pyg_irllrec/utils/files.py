from __future__ import annotations

import glob
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Optional, Union

_STALE_SECONDS = 24 * 60 * 60


class WriteError(OSError):
    r"""A file could not be written. Its previous content is unchanged."""


@contextmanager
def atomic_write(path: Path, mode: str = 'w') -> Iterator[IO[Any]]:
    r"""Open a temporary file next to :obj:`path`, and move it to :obj:`path` once it is
    complete and on disk. If anything fails, :obj:`path` stays unchanged. If several
    processes write, the last one wins. The temporary files of killed processes are
    removed after a day.

    Args:
        path (Path): The file.
        mode (str): :obj:`"w"` for text in UTF-8, :obj:`"wb"` for bytes.
            (default: :obj:`"w"`)

    Raises:
        WriteError: If the file cannot be written, for example because the disk is full.
    """
    path = Path(path)
    # A unique name, so that two writers of one file do not share a temporary file.
    part = path.with_name(f'.{path.name}.{secrets.token_hex(4)}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        with open(part, mode, encoding=None if 'b' in mode else 'utf-8') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        cause = _cause(error)
        if isinstance(cause, KeyboardInterrupt):
            raise cause from None
        if cause is None or isinstance(cause, WriteError):
            raise
        kept = ' (its previous content is unharmed)' if path.is_file() else ''
        raise WriteError(
            f'{path} could not be written: {cause.strerror or cause}{kept}'
        ) from error


def free_path(path: Path, mark: str = '') -> Path:
    r"""The first of :obj:`path.1`, :obj:`path.2` and so on that does not exist yet,
    with :obj:`mark` before the number."""
    number = 1
    while (free := path.with_name(f'{path.name}.{mark}{number}')).exists():
        number += 1
    return free


def nearest_folder(path: Path) -> Path:
    r"""The nearest existing folder among :obj:`path` and its parents: it is on the disk
    that :obj:`path` will be on."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.is_dir())


def _remove_stale(path: Path) -> None:
    r"""Remove temporary files of killed writers that are older than a day."""
    for part in path.parent.glob(f'.{glob.escape(path.name)}.*.tmp'):
        with suppress(OSError):
            if part.stat().st_mtime < time.time() - _STALE_SECONDS:
                part.unlink()


def _cause(
    error: Optional[BaseException],
) -> Union[OSError, KeyboardInterrupt, None]:
    r"""The :class:`OSError` or the interruption behind an error, if any:
    :func:`torch.save` raises a :class:`RuntimeError` about positions in an archive
    instead."""
    while isinstance(error, RuntimeError):
        error = error.__context__
    return error if isinstance(error, (OSError, KeyboardInterrupt)) else None
