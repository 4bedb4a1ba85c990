"""Writes and opens the folder of a dataset:

===================  ====================================================
``manifest.json``    sources, options, counts and file sizes; written last
``edge_index.npy``   with ``rating.npy`` and ``time.npy`` where they exist
``user.arrow``       ``id``, and ``text`` where it exists: row k is node k
``item.arrow``       likewise
===================  ====================================================
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.datasets._ingest.atomic_folder import atomic_folder
from pyg_irllrec.typing import RATES, SIDES
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.text_array import TextArray

_MANIFEST = 'manifest.json'
_VERSION = 1


def is_store_file(name: str) -> bool:
    r"""Whether a store has a file of this name, complete or partial."""
    arrays = ('edge_index', 'rating', 'time')
    files = {
        'manifest.json',
        *(f'{array}.npy' for array in arrays),
        *(f'{side}.arrow' for side in SIDES),
    }
    return name in files or name in {f'.{file}.tmp' for file in files}


def write_store(
    folder: Path,
    nodes: Mapping[str, Any],
    edges: Mapping[str, Tensor],
    manifest: Mapping[str, Any],
    replace: bool,
) -> None:
    r"""Writes the whole folder or nothing.

    Args:
        folder (Path): The folder.
        nodes (mapping): For users and items a pyarrow.RecordBatch of :obj:`id` and,
            where they have texts, :obj:`text`.
        edges (mapping): :obj:`edge_index` and further attributes of edges.
        manifest (mapping): The manifest, without files, version and date.
        replace (bool): Whether to replace an existing folder.

    Raises:
        OSError: If the disk is full, for example.
    """
    import pyarrow as pa

    try:
        with atomic_folder(folder, replace) as part:
            for name, value in edges.items():
                with atomic_write(part / f'{name}.npy', 'wb') as file:
                    _write_array(file, value.contiguous().numpy())
            for side, batch in nodes.items():
                with atomic_write(part / f'{side}.arrow', 'wb') as file:
                    # One batch, so that rows are found without a search.
                    with pa.ipc.new_file(file, batch.schema) as writer:
                        writer.write_batch(batch)
            files = {path.name: path.stat().st_size for path in sorted(part.iterdir())}
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
        raise OSError(
            error.errno or errno.EIO,
            f'{folder} could not be written, and no partial files remain: '
            f'{error.strerror or error}',
        ) from error


def _write_array(file: IO[bytes], array: npt.NDArray[Any]) -> None:
    r"""Writes as :func:`numpy.save` does, but keeps the reason of a failure, such as a
    full disk."""
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, header)
    file.write(array.data)


def read_manifest(folder: Path) -> dict[str, Any]:
    r"""The manifest of a folder, whose files are checked by their sizes.

    Raises:
        FileNotFoundError: If the folder holds no dataset.
        ValueError: If it is incomplete, damaged, or of another version.
    """
    if not (folder / _MANIFEST).is_file():
        raise FileNotFoundError(f'{folder} holds no dataset: it has no {_MANIFEST}')
    try:
        manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text('utf-8'))
        version, files = manifest['version'], manifest['files'].items()
        manifest['counts'].items(), manifest['options'].items(), manifest['sources']
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f'{folder / _MANIFEST} is damaged: write it again') from None
    if version != _VERSION:
        raise ValueError(
            f'{folder} must be of version {_VERSION}, got {version}: write it again'
        )
    for name, size in files:
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise ValueError(f'{path} is missing or damaged: write {folder} again')
    return manifest


def open_store(folder: Path) -> HeteroData:
    r"""The content of a folder, memory-mapped. Changes in memory do not change the
    files."""
    import pyarrow as pa

    data = HeteroData()
    for side in SIDES:
        with pa.memory_map(str(folder / f'{side}.arrow')) as file:
            table = pa.ipc.open_file(file).read_all()
        data[side].num_nodes = len(table)
        ids = table['id']
        if pa.types.is_integer(ids.type):
            data[side].id = torch.tensor(ids.to_numpy())
        else:
            data[side].id = ids.to_pylist()
        if 'text' in table.column_names:
            data[side].text = TextArray(table['text'])
    rates = data[RATES]
    for name in ('edge_index', 'rating', 'time'):
        if (folder / f'{name}.npy').is_file():
            values = np.load(folder / f'{name}.npy', mmap_mode='c', allow_pickle=False)
            rates[name] = torch.from_numpy(values)
    return data
