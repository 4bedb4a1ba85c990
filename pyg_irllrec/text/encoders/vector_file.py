from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, NamedTuple, Optional, Union

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib import format as npy
from torch import Tensor

from pyg_irllrec.text.encoders._encoder_output import as_json
from pyg_irllrec.typing import IntArray, PathLike
from pyg_irllrec.utils.argument_checks import as_path, check_instance
from pyg_irllrec.utils.checks import check_choice
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.id_array import as_id_array, to_strings
from pyg_irllrec.utils.json_object import parse_json_object
from pyg_irllrec.utils.printable import printable

_AnyIds = Union[Sequence[int], Sequence[str], npt.NDArray[Any], Tensor]

_BLOCK_BYTES = 1 << 24
# An array may decompress to this many bytes, or to this multiple of its file size.
_MAX_UNPACKED_BYTES = 1 << 26
_MAX_RATIO = 100


class VectorFile(NamedTuple):
    r"""The content of a vector file, as read by :func:`load_vectors`.

    Example:
        >>> import numpy as np
        >>> from pyg_irllrec.text import load_vectors, save_vectors
        >>> vectors = np.eye(3, dtype=np.float32)
        >>> save_vectors('items.npz', vectors, ['a', 'b', 'c'], {'model': 'mine'})
        >>> file = load_vectors('items.npz')
        >>> file.vectors.shape, file.ids.tolist(), file.record['model']
        ((3, 3), ['a', 'b', 'c'], 'mine')
    """

    vectors: npt.NDArray[np.float32]
    """One row per id, of shape :math:`(N, D_t)`."""
    ids: npt.NDArray[Any]
    """The ids of the rows, of shape :math:`(N)`, as integers if all are integers, else
    strings."""
    record: dict[str, Any]
    """The description of the vectors, with :obj:`dimension` and :obj:`count`."""


def save_vectors(
    path: PathLike,
    vectors: Union[npt.NDArray[Any], Tensor],
    ids: _AnyIds,
    description: dict[str, Any],
) -> None:
    r"""Write vectors, their ids and their description to a :obj:`.npz` file. The file
    is never written in part. It contains the arrays :obj:`embedding` and :obj:`ids`,
    and :obj:`record`, a JSON object with the fields of :obj:`description` and the
    fields :obj:`dimension`, :obj:`count`, :obj:`date` and :obj:`ids_sha256`.

    Args:
        path (str or Path): The :obj:`.npz` file. An existing file is replaced.
        vectors (numpy.ndarray or torch.Tensor): One row per id, of shape
            :math:`(N, D_t)`, in :obj:`float32`, :obj:`float16` or :obj:`bfloat16`
            (which is stored as :obj:`float32`).
        ids (sequence): :math:`N` distinct integers or strings, normalised as in
            :func:`load_vectors`.
        description (dict): How the vectors were made, such as
            :obj:`encoder.describe()`.

    Raises:
        ValueError: If shapes do not fit, a vector is not finite, an id is repeated, or
            JSON cannot represent :obj:`description`.

    Example:
        >>> import numpy as np
        >>> from pyg_irllrec.text import load_vectors, save_vectors
        >>> vectors = np.eye(3, dtype=np.float32)
        >>> save_vectors('items.npz', vectors, ['a', 'b', 'c'], {'model': 'mine'})
        >>> load_vectors('items.npz').record['count']
        3
    """
    path = as_path('path', path)
    if path.suffix != '.npz':
        raise ValueError(f"'path' must end in .npz, got {path}")
    check_instance('description', description, dict)
    vectors, ids = _as_array(vectors), as_id_array(ids)
    if ids.size == 0:
        raise ValueError("'ids' must hold at least one id, got none")
    _check_vectors(vectors, ids)
    _check_unique(ids)
    record = _make_record(description, vectors, ids)
    with atomic_write(path, 'wb') as file:
        np.savez(
            file,
            ids=ids,
            embedding=np.ascontiguousarray(vectors),
            record=np.array(record),
        )


def load_vectors(
    path: PathLike,
    ids: Optional[_AnyIds] = None,
    expect: Optional[dict[str, Any]] = None,
    missing: str = 'error',
) -> VectorFile:
    r"""Read the vectors of the given ids, in their order, from a file written by
    :func:`save_vectors` or from any :obj:`.npz` file with the arrays :obj:`ids` and
    :obj:`embedding`. Only the requested vectors and one block of the file are in memory
    at once. The sizes in the file are checked before any array is read. An array of
    more than 64 MB that is compressed more than a hundredfold is rejected.

    Ids are normalised: :obj:`7`, :obj:`"7"`, :obj:`" 7 "` and :obj:`7.0` are the same
    id.

    Args:
        path (str or Path): The file.
        ids (sequence, optional): Integers or strings, such as :obj:`data['item'].id`,
            in any order and with repetitions. (default: :obj:`None`, all ids of the
            file)
        expect (dict, optional): Fields that the record must have, such as
            :obj:`{'model': 'all-MiniLM-L6-v2', 'dimension': 384}`. Other fields are
            ignored. (default: :obj:`None`)
        missing (str): The treatment of ids that are not in the file: :obj:`"error"`
            or :obj:`"zeros"` (zero vectors). (default: :obj:`"error"`)

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is damaged or has another format, its record differs
            from :obj:`expect`, an id is missing, or a vector is not finite.

    Example:
        >>> import numpy as np
        >>> from pyg_irllrec.text import load_vectors, save_vectors
        >>> vectors = np.eye(3, dtype=np.float32)
        >>> save_vectors('items.npz', vectors, ['a', 'b', 'c'], {'model': 'mine'})
        >>> load_vectors('items.npz', ['c', 'x'], missing='zeros').vectors
        array([[0., 0., 1.],
               [0., 0., 0.]], dtype=float32)
    """
    check_choice('missing', missing, ('error', 'zeros'))
    path = as_path('path', path)
    if expect is not None:
        check_instance('expect', expect, dict)
    if not path.is_file():
        raise FileNotFoundError(
            f'{printable(path)} does not exist: create it with save_vectors'
        )
    wanted = None if ids is None else as_id_array(ids)
    with _open_archive(path) as archive:
        stored = as_id_array(_read_array(archive, 'ids'))
        record = _read_record(archive, stored)
    for name, value in as_json('expect', expect or {}).items():
        if record.get(name) != value:
            raise ValueError(
                f"'expect' must agree with {printable(path)}, which has {name} = "
                f'{json.dumps(record.get(name))}, not {json.dumps(value)}'
            )
    rows = np.arange(stored.size)
    if wanted is not None:
        rows = _find_rows(stored, wanted, path, missing)
    with _open_archive(path) as archive:
        vectors = _read_rows(archive, rows)
    wanted = stored if wanted is None else wanted
    _check_finite(f'the vectors in {printable(path)}', vectors, wanted)
    return VectorFile(vectors, wanted, record)


def _as_array(vectors: Union[npt.NDArray[Any], Tensor]) -> npt.NDArray[Any]:
    if isinstance(vectors, np.ndarray):
        return vectors
    if not isinstance(vectors, Tensor):
        raise ValueError(
            "'vectors' must be an array or a tensor, got " + type(vectors).__name__
        )
    vectors = vectors.detach().cpu()
    try:
        # NumPy has no bfloat16.
        is_short = vectors.dtype is torch.bfloat16
        array: npt.NDArray[Any] = (vectors.float() if is_short else vectors).numpy()
    except (TypeError, RuntimeError):
        raise ValueError(
            "'vectors' must be a dense tensor of float32 or float16, got "
            f'{vectors.dtype}, {vectors.layout}'
        ) from None
    return array


def _check_vectors(vectors: npt.NDArray[Any], ids: npt.NDArray[Any]) -> None:
    if vectors.dtype not in (np.float32, np.float16):
        raise ValueError(f"'vectors' must be float32 or float16, got {vectors.dtype}")
    if vectors.ndim != 2 or len(vectors) != ids.size or vectors.shape[1] == 0:
        raise ValueError(
            f"'vectors' must have one row per id, {ids.size} rows, got shape "
            f'{vectors.shape}'
        )
    _check_finite("'vectors'", vectors, ids)


def _check_finite(what: str, vectors: npt.NDArray[Any], ids: npt.NDArray[Any]) -> None:
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size > 0:
        raise ValueError(
            f'{what} must be finite, got NaN or infinity in {bad.size} of '
            f'{len(vectors)} rows (first: id {ids[bad[0]].item()!r})'
        )


def _check_unique(ids: npt.NDArray[Any]) -> None:
    distinct, count = np.unique(ids, return_counts=True)
    if distinct.size < ids.size:
        raise ValueError(
            f"'ids' must be distinct, got {distinct[count.argmax()].item()!r} "
            f'{count.max()} times'
        )


def _make_record(
    description: dict[str, Any], vectors: npt.NDArray[Any], ids: npt.NDArray[Any]
) -> str:
    width = vectors.shape[1]
    if description.get('dimension', width) != width:
        raise ValueError(
            f"'description' must have the dimension of 'vectors', {width}, got "
            f'{description["dimension"]}'
        )
    record = as_json('description', description) | {
        'dimension': width,
        'count': ids.size,
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'ids_sha256': _sha256(ids),
    }
    return json.dumps(record, indent=1)


def _sha256(ids: npt.NDArray[Any]) -> str:
    if ids.dtype.kind == 'U':
        return hashlib.sha256('\0'.join(ids.tolist()).encode()).hexdigest()
    return hashlib.sha256(ids.astype('<i8').tobytes()).hexdigest()


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with open(path, 'rb') as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except Exception as error:  # Damaged files raise almost any error.
            reason = printable(error) or type(error).__name__
            raise ValueError(
                f'{printable(path)} must be a .npz file with arrays ids and embedding, '
                f'or it is damaged: {reason[:300]}'
            ) from None


class _Member(NamedTuple):
    file: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool


@contextmanager
def _open_member(archive: zipfile.ZipFile, name: str) -> Iterator[_Member]:
    r"""Open an array and read its header. Raise an error if the header claims a size
    that differs from the data."""
    info = archive.getinfo(f'{name}.npy')
    _check_unpacked_size(archive, info)
    with archive.open(info) as file:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0
        if version != (1, 0):
            read_header = npy.read_array_header_2_0
        shape, fortran_order, dtype = read_header(file)
        if dtype.hasobject:
            raise ValueError(f'{name} must hold no Python objects')
        size, left = math.prod(shape) * dtype.itemsize, info.file_size - file.tell()
        if size != left or dtype.itemsize == 0 or min(shape, default=0) < 0:
            raise ValueError(
                f'{name} has the shape {shape} of {dtype} in its header, but {left} '
                'bytes of data'
            )
        yield _Member(file, shape, dtype, fortran_order)
        file.read(1)  # zipfile verifies the checksum at the end of the data.


def _check_unpacked_size(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    assert archive.fp is not None
    available = archive.fp.seek(0, 2)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f'{info.filename} has an unknown compression method')
    most = max(_MAX_UNPACKED_BYTES, _MAX_RATIO * info.compress_size)
    if info.compress_type == zipfile.ZIP_STORED:
        most = info.compress_size
    if info.compress_size > available or info.file_size > most:
        raise ValueError(
            f'{info.filename} claims to decompress {info.compress_size} of {available} '
            f'bytes to {info.file_size}'
        )


def _read_array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    with _open_member(archive, name) as member:
        flat = np.frombuffer(member.file.read(), member.dtype)
    order: Any = 'F' if member.fortran_order else 'C'
    return flat.reshape(member.shape, order=order)


def _read_record(archive: zipfile.ZipFile, ids: npt.NDArray[Any]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    if 'record.npy' in archive.namelist():
        record = parse_json_object(str(_read_array(archive, 'record')))
        if record.get('ids_sha256') != _sha256(ids):
            raise ValueError('the ids do not match the record')
    _check_unique(ids)
    with _open_embedding(archive) as member:
        count, width = member.shape
    if count != ids.size:
        raise ValueError(f'there are {ids.size} ids, but {count} vectors')
    return record | {'dimension': width, 'count': count}


@contextmanager
def _open_embedding(archive: zipfile.ZipFile) -> Iterator[_Member]:
    with _open_member(archive, 'embedding') as member:
        _, shape, dtype, _ = member
        if len(shape) != 2 or shape[1] == 0 or dtype.kind != 'f':
            raise ValueError(
                'embedding must be a matrix of floating-point numbers with at least '
                f'one column, got shape {shape} of {dtype}'
            )
        yield member


def _find_rows(
    stored: npt.NDArray[Any], wanted: npt.NDArray[Any], path: Path, missing: str
) -> IntArray:
    r"""Return the row of each wanted id, or -1 if the id is missing."""
    if stored.dtype.kind != wanted.dtype.kind:  # 7 and '7' are the same id.
        stored, wanted = to_strings(stored), to_strings(wanted)
    order = stored.argsort(kind='stable')
    position = np.searchsorted(stored, wanted, sorter=order)
    rows = order[np.minimum(position, stored.size - 1)]
    absent = stored[rows] != wanted
    if missing == 'error' and absent.any():
        raise ValueError(
            f"'ids' must be in {printable(path)}, got {absent.sum()} of {wanted.size} "
            f'that are not (first: {wanted[absent][0].item()!r}): pass '
            "missing='zeros' for zero vectors"
        )
    return np.where(absent, -1, rows)


def _read_rows(archive: zipfile.ZipFile, rows: IntArray) -> npt.NDArray[np.float32]:
    r"""Read rows of the matrix, with zeros for row -1. The whole array is read, block
    by block, so that its checksum is verified."""
    with _open_embedding(archive) as member:
        out = np.zeros((rows.size, member.shape[1]), np.float32)
        with np.errstate(over='ignore'):  # Infinite values are rejected later.
            if member.fortran_order:
                _read_by_column(member, rows, out)
            else:
                _read_by_row(member, rows, out)
    return out


def _read_by_row(member: _Member, rows: IntArray, out: npt.NDArray[Any]) -> None:
    file, (count, width), dtype, _ = member
    order = rows.argsort(kind='stable')
    step = max(1, _BLOCK_BYTES // (width * dtype.itemsize))
    for start in range(0, count, step):
        size = min(step, count - start)
        data = file.read(size * width * dtype.itemsize)
        block = np.frombuffer(data, dtype).reshape(size, width)
        first, last = np.searchsorted(rows, [start, start + size], sorter=order)
        out[order[first:last]] = block[rows[order[first:last]] - start]


def _read_by_column(member: _Member, rows: IntArray, out: npt.NDArray[Any]) -> None:
    file, (count, width), dtype, _ = member
    found = rows >= 0
    for column in range(width):
        values = np.frombuffer(file.read(count * dtype.itemsize), dtype)
        out[found, column] = values[rows[found]]
