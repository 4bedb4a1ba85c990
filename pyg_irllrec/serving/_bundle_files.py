r"""The files of a saved bundle. Each is named by a hash of its content, written
atomically, and checked against its hash before it is read."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from pyg_irllrec.serving._arrow_table import are_int64
from pyg_irllrec.utils.files import WriteError
from pyg_irllrec.utils.optional import import_optional

BUNDLE_FILE = 'bundle.json'

_NAME = re.compile(
    r'[a-z]+-[0-9a-f]{16}\.(?:safetensors|parquet)'
    r'|\.(?:[a-z]+\.[0-9a-f]{8}\.part|bundle\.json\.[0-9a-f]{8}\.tmp)'
)
_BLOCK = 1 << 20
_ROW_GROUP = 1 << 16

FileRecord = dict[str, Any]
"""The :obj:`name`, :obj:`sha256` and :obj:`bytes` of a file."""


def import_formats(needed_by: str) -> None:
    r"""Raise an :class:`ImportError` if a library for the file formats is missing."""
    for module in ('safetensors.torch', 'pyarrow.parquet'):
        import_optional(module, needed_by, 'data')


def write_tensors(folder: Path, part: str, tensors: Mapping[str, Tensor]) -> FileRecord:
    r"""Write tensors, on the CPU, as one safetensors file."""
    save_file = import_optional('safetensors.torch', 'save()', 'data').save_file
    # safetensors rejects tensors that share memory.
    copies, seen = {}, set[int]()
    for name, value in tensors.items():
        shared = value.untyped_storage().data_ptr() in seen
        seen.add(value.untyped_storage().data_ptr())
        copies[name] = value.clone() if shared else value
    return _write(
        folder, part, 'safetensors', lambda path: save_file(copies, str(path))
    )


def write_table(
    folder: Path, part: str, columns: Mapping[str, Sequence[object]]
) -> FileRecord:
    r"""Write columns of texts or integers as one Parquet file, uncompressed, so that a
    reader needs no more memory than the size of the file.

    Raises:
        ValueError: If a column has other values.
    """
    pa = import_optional('pyarrow', 'save()', 'data')
    parquet = import_optional('pyarrow.parquet', 'save()', 'data')
    arrays, fields = [], []
    for name, values in columns.items():
        kind = pa.int64() if name == 'id' and are_int64(values) else pa.string()
        try:
            texts = [str(each) for each in values] if name == 'id' else list(values)
            array = pa.array(values if kind == pa.int64() else texts, kind)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"'data' must have a text for each {part[:-1]} in {name!r}: {error}"
            ) from None
        if array.null_count > 0:
            raise ValueError(
                f"'data' must have a text for each {part[:-1]} in {name!r}, but "
                f'{array.null_count} are missing'
            )
        arrays.append(array)
        fields.append(pa.field(name, kind, nullable=False))
    table = pa.table(arrays, schema=pa.schema(fields))

    def write(path: Path) -> None:
        parquet.write_table(
            table,
            path,
            compression='none',
            use_dictionary=False,
            row_group_size=_ROW_GROUP,
        )

    return _write(folder, part, 'parquet', write)


def remove_others(folder: Path, kept: set[str]) -> None:
    r"""Remove the files of earlier bundles and of interrupted writes."""
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name) and path.name not in kept:
            with suppress(OSError):  # Windows cannot remove open files.
                path.unlink()


def check_file(folder: Path, record: FileRecord) -> Path:
    r"""Check a file against its record and return its path.

    Raises:
        FileNotFoundError: If it is missing.
        ValueError: If its name is not one of a bundle, or its size or content differs
            from the record.
    """
    name = record['name']
    if not _NAME.fullmatch(name):
        raise ValueError(f'its file {name!r} has a name that no bundle uses')
    path: Path = folder / name
    size = path.stat().st_size
    if size != record['bytes']:
        raise ValueError(f'{name} has {size} bytes, not {record["bytes"]}')
    if _sha256(path) != record['sha256']:
        raise ValueError(f'{name} is damaged: its content has changed')
    return path


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    r"""Read the shapes of the tensors in a file, from its header only."""
    safetensors = import_optional('safetensors', 'load()', 'data')
    with safetensors.safe_open(str(path), 'pt') as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}


def read_tensors(path: Path) -> dict[str, Tensor]:
    r"""Read the tensors of a file into memory."""
    safetensors = import_optional('safetensors', 'load()', 'data')
    with safetensors.safe_open(str(path), 'pt') as file:
        return {name: file.get_tensor(name).clone() for name in file.keys()}


def read_table(path: Path, num_rows: int) -> dict[str, list[Any]]:
    r"""Read the columns of a file that :func:`write_table` wrote.

    Raises:
        ValueError: If it has another number of rows or other column types, or if it is
            compressed, so that it could need more memory than the size of the file.
    """
    pa = import_optional('pyarrow', 'load()', 'data')
    parquet = import_optional('pyarrow.parquet', 'load()', 'data')
    with parquet.ParquetFile(path) as file:
        found = file.metadata
        if found.num_rows != num_rows:
            raise ValueError(f'{path.name} has {found.num_rows} rows, not {num_rows}')
        for field in file.schema_arrow:
            if field.nullable or field.type not in (pa.int64(), pa.string()):
                raise ValueError(f'{path.name} has {field.name} as {field.type}')
        for group in range(found.num_row_groups):
            for column in range(found.num_columns):
                chunk = found.row_group(group).column(column)
                plain = set(chunk.encodings) <= {'PLAIN', 'RLE'}
                if chunk.compression != 'UNCOMPRESSED' or not plain:
                    raise ValueError(f'{path.name} is compressed')
        table = file.read()
    return {name: table[name].to_pylist() for name in table.column_names}


def _write(
    folder: Path, part: str, kind: str, write: Callable[[Path], object]
) -> FileRecord:
    temporary = folder / f'.{part}.{secrets.token_hex(4)}.part'
    with _removed_on_failure(temporary):
        write(temporary)
        with open(temporary, 'rb+') as file:
            os.fsync(file.fileno())
        digest = _sha256(temporary)
        name, size = f'{part}-{digest[:16]}.{kind}', temporary.stat().st_size
        os.replace(temporary, folder / name)
    return {'name': name, 'sha256': digest, 'bytes': size}


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        # The error of safetensors is not an OSError, even if the disk is full.
        if isinstance(error, OSError) or type(error).__name__ == 'SafetensorError':
            raise WriteError(f'{path.parent} could not be written: {error}') from error
        raise


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
