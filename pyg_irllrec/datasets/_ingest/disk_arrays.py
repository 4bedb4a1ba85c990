from __future__ import annotations

import errno
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt


class DiskArrays:
    r"""Vectors that are appended to a temporary file and read back one by one, so that
    memory holds none of them. The file has no name, so a killed process leaves nothing
    behind.

    Args:
        folder (Path, optional): A folder on the disk to use. (default: :obj:`None`,
            the default of :mod:`tempfile`)
    """

    def __init__(self, folder: Optional[Path] = None) -> None:
        self._folder = folder
        self._file: Any = tempfile.TemporaryFile(dir=folder)
        weakref.finalize(self, self._file.close)
        self._parts: list[tuple[int, int, np.dtype[Any]]] = []
        self._bytes = 0

    def append(self, values: npt.NDArray[Any]) -> None:
        r"""Append a vector."""
        values = np.ascontiguousarray(values)
        self._parts.append((self._bytes, len(values), values.dtype))
        try:
            self._file.seek(self._bytes)
            self._file.write(values.view(np.uint8).data)
            self._file.flush()  # A full disk raises here.
        except OSError as error:
            raise disk_error(error, self._folder) from error
        self._bytes += values.nbytes

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        return (self._read(*part) for part in self._parts)

    def __getitem__(self, part: int) -> npt.NDArray[Any]:
        return self._read(*self._parts[part])

    def joined(self) -> npt.NDArray[Any]:
        r"""Return all vectors as one; they must have the same type."""
        dtype = self._parts[0][2]
        return self._read(0, self._bytes // dtype.itemsize, dtype)

    def mapped(self, *others: DiskArrays) -> npt.NDArray[Any]:
        r"""Return all vectors as one, memory-mapped; with others of the same length, as
        the rows of one matrix. Nothing can be appended afterwards."""
        dtype = self._parts[0][2]
        try:
            self._file.seek(self._bytes)
            for other in others:
                other._file.seek(0)
                shutil.copyfileobj(other._file, self._file, 1 << 22)
            self._file.flush()
        except OSError as error:
            raise disk_error(error, self._folder) from error
        length = self._bytes // dtype.itemsize
        shape = (1 + len(others), length) if others else (length,)
        return np.memmap(self._file, dtype, 'c', 0, shape)

    def _read(self, start: int, length: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        out = np.empty(length, dtype)
        self._file.seek(start)
        self._file.readinto(out.view(np.uint8).data)
        return out


def disk_error(error: OSError, folder: Optional[Path]) -> OSError:
    r"""Return the error for a temporary file that could not be written."""
    return OSError(
        error.errno or errno.EIO,
        f'{folder or tempfile.gettempdir()} has no room for temporary files, and none '
        f'of them remain: {error.strerror or error}',
    )
