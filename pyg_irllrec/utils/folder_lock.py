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
    r"""Lock a folder against other writers (processes and threads) until the lock is
    closed. The operating system releases the lock when the process ends, even if it is
    killed.

    The lock is on the file :obj:`.lock` in the folder, which exists while the folder is
    locked, so that the folder may be renamed.

    Args:
        folder (pathlib.Path): The folder. It is created if it is missing.

    Raises:
        OSError: If another writer has locked the folder, or it is not writable.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / '.lock'
        self._made = not os.path.exists(folder)  # Path.exists() raises for long names.
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
        r"""The open file with a lock on it, or :obj:`None` if its previous writer has
        just removed it."""
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
                    f'{self.path.parent} is on a file system without locks: nothing '
                    'stops a second run from writing to it'
                )
                return file
            os.close(file)
            raise OSError(
                f'{self.path.parent} is in use by another run: wait until it ends, or '
                'choose another folder'
            ) from None
        os.close(file)
        return None

    def move_folder(self, target: Path) -> None:
        r"""Move the folder to :obj:`target`, and create an empty, locked folder in its
        place.

        Raises:
            OSError: If the folder cannot be moved, or another writer locks the new one
                first.
        """
        folder, file = self.path.parent, self._file
        if fcntl is None and file is not None:  # Windows cannot move open files.
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
        r"""Release the folder, and remove it if this lock created it and it is
        empty."""
        if self._file is None:
            return
        try:
            # A writer that has just opened this file then sees that it is gone.
            if _is_file(self._file, self.path):
                self.path.unlink()
            if self._made:
                self.path.parent.rmdir()
        except OSError:  # The folder is not empty, or Windows keeps the open file.
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
    r"""Lock an open file without waiting, or raise an :class:`OSError`."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)


def _is_file(file: int, path: Path) -> bool:
    r"""Whether :obj:`path` still is this open file."""
    try:
        there, mine = os.stat(path), os.fstat(file)
    except FileNotFoundError:
        return False
    return (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev)
