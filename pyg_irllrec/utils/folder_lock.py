from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Optional

from pyg_irllrec.utils.warn_caller import warn_caller

if TYPE_CHECKING:
    from typing_extensions import Self

try:
    import fcntl
except ImportError:  # On Windows.
    fcntl = None  # type: ignore[assignment]

_UNSUPPORTED = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)


class FolderLock:
    r"""Keep a folder to one writer, be it another process or another thread, until it
    is closed. The system lets go of it when the process ends, however it ends.

    The lock lies on the file :obj:`.lock` in the folder, which is there while it is
    held, so that the folder may be renamed.

    Args:
        folder (pathlib.Path): The folder, which is created where it is missing.

    Raises:
        OSError: If another writer has it, or it cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / '.lock'
        self._made = not os.path.exists(folder)  # Of any name, however long.
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f'{folder} cannot be created: {error.strerror}') from error
        self._file: Optional[int] = self._acquire()

    def _acquire(self) -> int:
        file = None
        while file is None:
            file = self._try()
        return file

    def _try(self) -> Optional[int]:
        r"""The open file once it is locked; :obj:`None` where its writer removed it in
        between."""
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OSError(
                f'{self.path.parent} cannot be written to: {error.strerror}'
            ) from error
        try:
            _lock(file)
            if not fcntl or _is_file(file, self.path):
                return file
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                warn_caller(
                    f'{self.path.parent} lies where files cannot be locked: nothing '
                    'stops a second run from writing into it'
                )
                return file
            os.close(file)
            raise OSError(
                f'{self.path.parent} is in use by another run: wait for its end, or '
                'choose another folder'
            ) from None
        os.close(file)
        return None

    def move_folder(self, target: Path) -> None:
        r"""Move the folder away and keeps an empty one in its place.

        Raises:
            OSError: If it cannot be moved, or another writer was faster.
        """
        folder, file = self.path.parent, self._file
        if fcntl is None and file is not None:  # Windows moves no open files.
            os.close(file)
        try:
            folder.rename(target)
        except OSError as error:
            raise OSError(
                f'{folder} cannot be moved to {target}: {error.strerror}'
            ) from error
        (target / self.path.name).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._file = self._acquire()
        if fcntl is not None and file is not None:
            os.close(file)

    def close(self) -> None:
        r"""Let go of the folder. One that was created and is empty is removed."""
        if self._file is None:
            return
        try:
            # Whoever waits for this very file sees that it is gone.
            if _is_file(self._file, self.path):
                self.path.unlink()
            if self._made:
                self.path.parent.rmdir()
        except OSError:  # Open files cannot go on Windows; other files lie here.
            pass
        finally:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()


def _lock(file: int) -> None:
    r"""Locks an open file at once, or raises an :class:`OSError`."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)


def _is_file(file: int, path: Path) -> bool:
    r"""Whether an open file is the one that lies there."""
    try:
        there, mine = os.stat(path), os.fstat(file)
    except FileNotFoundError:
        return False
    return (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev)
