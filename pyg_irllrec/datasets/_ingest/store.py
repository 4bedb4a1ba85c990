"""Write and open the folder of a dataset:

===================  ====================================================
``manifest.json``    sources, options, counts, sizes and checksums; written last
``edge_index.npy``   and, if they exist, ``rating.npy`` and ``time.npy``
``user.arrow``       ``id`` and, if they exist, ``text`` and ``title``: row k is node k
``item.arrow``       the same for items
===================  ====================================================
"""

from __future__ import annotations

import errno
import json
import zlib
from collections.abc import Mapping
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.datasets._ingest.atomic_folder import atomic_folder
from pyg_irllrec.typing import RATES, SIDES
from pyg_irllrec.utils.files import WriteError, atomic_write
from pyg_irllrec.utils.json_object import parse_json_object
from pyg_irllrec.utils.printable import printable
from pyg_irllrec.utils.text_array import TextArray

_MANIFEST = 'manifest.json'
_VERSION = 2
_CHUNK = 1 << 22
_ARRAYS = {'edge_index': 'int64', 'rating': 'float32', 'time': 'int64'}


def is_store_file(name: str) -> bool:
    r"""Whether a store has a file of this name, complete or partial."""
    files = {
        'manifest.json',
        *(f'{array}.npy' for array in _ARRAYS),
        *(f'{side}.arrow' for side in SIDES),
    }
    return name in files or any(fnmatchcase(name, f'.{file}.*.tmp') for file in files)


def write_store(
    folder: Path,
    nodes: Mapping[str, Any],
    edges: Mapping[str, Tensor],
    manifest: Mapping[str, Any],
    replace: bool,
) -> None:
    r"""Write the whole folder or nothing.

    Args:
        folder (Path): The folder.
        nodes (mapping): For users and items, a pyarrow.RecordBatch of :obj:`id` and, if
            they exist, :obj:`text` and :obj:`title`.
        edges (mapping): :obj:`edge_index` and the attributes of edges.
        manifest (mapping): The manifest, without files, version and date.
        replace (bool): Whether to replace an existing folder.

    Raises:
        OSError: If the folder cannot be written, for example because the disk is full.
    """
    import pyarrow as pa

    try:
        with atomic_folder(folder, replace) as part:
            for name, value in edges.items():
                with atomic_write(part / f'{name}.npy', 'wb') as file:
                    _write_array(file, value.numpy())
            for side, batch in nodes.items():
                with atomic_write(part / f'{side}.arrow', 'wb') as file:
                    # In one batch, rows are found without a search.
                    batch = batch.replace_schema_metadata({'side': side})
                    with pa.ipc.new_file(file, batch.schema) as writer:
                        writer.write_batch(batch)
            files = {path.name: file_digest(path) for path in sorted(part.iterdir())}
            content = {
                'format': 'pyg_irllrec interactions',
                'version': _VERSION,
                'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
                **manifest,
                'files': files,
            }
            with atomic_write(part / _MANIFEST) as file:
                json.dump(content, file, indent=2)
    except OSError as error:
        cause = error.__cause__ if isinstance(error, WriteError) else error
        assert isinstance(cause, OSError)
        raise OSError(
            cause.errno or errno.EIO,
            f'{folder} could not be written, and no partial files remain: '
            f'{cause.strerror or cause}',
        ) from error


def _write_array(file: IO[bytes], array: npt.NDArray[Any]) -> None:
    r"""Write like :func:`numpy.save`, but keep the reason of a failure, such as a full
    disk."""
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, header)
    flat = array.reshape(-1)
    for start in range(0, flat.size, _CHUNK):  # It may be memory-mapped.
        file.write(flat[start : start + _CHUNK].data)


def read_manifest(folder: Path) -> dict[str, Any]:
    r"""Return the manifest of a folder, after checking the sizes of the files.

    Raises:
        FileNotFoundError: If there is no dataset in the folder.
        ValueError: If it is incomplete, damaged, or of another version.
    """
    if not (folder / _MANIFEST).is_file():
        raise FileNotFoundError(f'{folder} holds no dataset: it has no {_MANIFEST}')
    try:
        manifest = parse_json_object((folder / _MANIFEST).read_bytes())
        version = manifest.get('version')
        files = _check_manifest(manifest) if version == _VERSION else {}
    except ValueError as error:
        raise ValueError(
            f'{folder / _MANIFEST} is damaged: {error}: write it again'
        ) from None
    if version != _VERSION:
        raise ValueError(
            f'{folder} must be of version {_VERSION}, got {version!r:.80}: write it '
            'again'
        )
    for name, (size, _) in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise ValueError(f'{path} is missing or damaged: write {folder} again')
    return manifest


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    r"""Raise a :class:`ValueError` if a file differs from its checksum in the manifest.
    All files are read."""
    for name, digest in manifest['files'].items():
        if file_digest(folder / name) != digest:
            raise ValueError(
                f'{folder / name} is missing or damaged: write {folder} again'
            )


def file_digest(path: Path) -> list[int]:
    r"""Return the size and the checksum of a file."""
    size, checksum = path.stat().st_size, 0
    with open(path, 'rb') as file:
        while chunk := file.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return [size, checksum]


def _check_manifest(manifest: dict[str, Any]) -> dict[str, list[int]]:
    r"""Return the sizes and checksums of the files by name."""
    for name in ('files', 'counts', 'options'):
        if not isinstance(manifest.get(name), dict):
            raise ValueError(f'it lacks {name!r}')
    if 'sources' not in manifest:
        raise ValueError("it lacks 'sources'")
    for value in manifest['counts'].values():
        if type(value) is not int or value < 0:
            raise ValueError(f"'counts' must hold counts, got {value!r:.80}")
    if not {'users', 'items', 'interactions'} <= manifest['counts'].keys():
        raise ValueError("'counts' must have users, items and interactions")
    files: dict[str, list[int]] = manifest['files']
    for digest in files.values():
        if not isinstance(digest, list) or [type(each) for each in digest] != [int] * 2:
            raise ValueError(
                f"'files' must hold sizes and checksums, got {digest!r:.80}"
            )
    needed = {'edge_index.npy', *(f'{side}.arrow' for side in SIDES)}
    if not needed <= files.keys() or not all(map(is_store_file, files)):
        raise ValueError(f"'files' must name the files of a dataset, got {list(files)}")
    return files


def open_store(folder: Path, counts: Mapping[str, int]) -> HeteroData:
    r"""Open a folder, memory-mapped. Changes in memory do not change the files.

    Args:
        folder (Path): The folder.
        counts (mapping): The expected numbers of :obj:`users`, :obj:`items` and
            :obj:`interactions`.

    Raises:
        ValueError: If a file is damaged, or does not match the others.
    """
    data = HeteroData()
    try:
        for side in SIDES:
            table = _open_nodes(folder, side, counts[f'{side}s'])
            ids = table['id']
            data[side].num_nodes = len(table)
            data[side].id = (
                torch.tensor(ids.to_numpy())
                if str(ids.type) == 'int64'
                else ids.to_pylist()
            )
            for name in ('text', 'title'):
                if name in table.column_names:
                    data[side][name] = TextArray(table[name])
        for name, dtype in _ARRAYS.items():
            if (folder / f'{name}.npy').is_file():
                shape = (2,) * (name == 'edge_index') + (counts['interactions'],)
                data[RATES][name] = _open_array(folder, name, dtype, shape)
        _check_edges(data[RATES].edge_index, (counts['users'], counts['items']))
    except Exception as error:  # Damaged files can raise any error.
        reason = printable(error)[:300] or type(error).__name__
        raise ValueError(f'{folder} is damaged: {reason}: write it again') from None
    return data


def _open_nodes(folder: Path, side: str, count: int) -> Any:
    import pyarrow as pa

    with pa.memory_map(str(folder / f'{side}.arrow')) as file:
        table = pa.ipc.open_file(file).read_all()
    table.validate(full=True)
    kinds = {field.name: str(field.type) for field in table.schema}
    if (
        (table.schema.metadata or {}).get(b'side') != side.encode()
        or len(table) != count
        or kinds.get('id') not in ('int64', 'large_string')
        or {kinds.get(name, 'large_string') for name in ('text', 'title')}
        != {'large_string'}
        or table['id'].null_count > 0
    ):
        raise ValueError(f'{side}.arrow must hold {count} {side}s')
    return table


def _open_array(folder: Path, name: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
    values = np.load(folder / f'{name}.npy', mmap_mode='c', allow_pickle=False)
    if values.dtype != dtype or values.shape != shape:
        raise ValueError(
            f'{name}.npy must hold {dtype} of shape {shape}, got {values.dtype} of '
            f'shape {values.shape}'
        )
    return torch.from_numpy(values)


def _check_edges(edge_index: Tensor, sizes: tuple[int, int]) -> None:
    if edge_index.numel() == 0:
        return
    low, high = edge_index.amin(dim=1).tolist(), edge_index.amax(dim=1).tolist()
    for side, least, most, size in zip(SIDES, low, high, sizes):
        if least < 0 or most >= size:
            raise ValueError(
                f'edge_index.npy must hold {side}s from 0 to {size - 1}, got {least} '
                f'to {most}'
            )
