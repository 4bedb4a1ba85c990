from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_write(path: Path, mode: str = 'w') -> Iterator[IO[Any]]:
    r"""Opens a temporary file beside :obj:`path`, and moves it there once it is
    complete and on disk. If anything fails, :obj:`path` stays as it was.

    Args:
        path (Path): The file.
        mode (str): :obj:`"w"` for text in UTF-8, :obj:`"wb"` for bytes.
            (default: :obj:`"w"`)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name per file, so that killed processes leave at most one.
    part = path.with_name(f'.{path.name}.tmp')
    try:
        with open(part, mode, encoding=None if 'b' in mode else 'utf-8') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
