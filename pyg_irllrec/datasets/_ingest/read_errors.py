from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import pyarrow as pa


@contextmanager
def read_errors(name: str, kind: str, encoding: Optional[str] = None) -> Iterator[None]:
    r"""Turn an error of Arrow into a :class:`ValueError` in one line that names the
    file, and the encoding if it is the cause."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeError) as error:
        reason = ' '.join(str(error).replace('Row #', 'line ').split())[:200]
        wrong = isinstance(error, UnicodeError) or 'invalid UTF8' in reason
        if encoding is not None and wrong:
            raise ValueError(
                f"{name} is not in {encoding}: {reason} (pass 'encoding')"
            ) from None
        raise ValueError(f'{name} is not {kind}, or it is damaged: {reason}') from None


def check_file(path: Path) -> Path:
    r"""Expand a path, or raise an error if it is not a file."""
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist')
    if not path.is_file():
        raise ValueError(f'{path} must be a file, got a folder: name the files in it')
    return path
