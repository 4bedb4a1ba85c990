r"""Check a file of :func:`torch.save` before torch reads it. Torch verifies neither
checksums nor the sizes of storages that a file claims."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyg_irllrec.utils.pickle_records import (
    PickledDict,
    PickledName,
    PickledObject,
    read_pickle_records,
)
from pyg_irllrec.utils.printable import printable

_ELEMENT_SIZES = {
    'DoubleStorage': 8,
    'FloatStorage': 4,
    'HalfStorage': 2,
    'BFloat16Storage': 2,
    'LongStorage': 8,
    'IntStorage': 4,
    'ShortStorage': 2,
    'CharStorage': 1,
    'ByteStorage': 1,
    'BoolStorage': 1,
    'UntypedStorage': 1,
}


def check_torch_archive(path: Path) -> None:
    r"""Verify all checksums and sizes, in about half the time of loading the file.

    Raises:
        ValueError: If the file is damaged, or a storage has another size than claimed.
        OSError: If the file cannot be read.
    """
    with open(path, 'rb') as file:
        available = file.seek(0, 2)
        try:
            with zipfile.ZipFile(file) as archive:
                _check_archive(archive, available)
        except Exception as error:  # Damaged files raise almost anything.
            reason = printable(error)[:300] or type(error).__name__
            raise ValueError(reason) from None


def _check_archive(archive: zipfile.ZipFile, available: int) -> None:
    members = archive.infolist()
    # Torch's reader ignores case.
    if len({member.filename.casefold() for member in members}) < len(members):
        raise ValueError('two of its parts have the same name')
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f'{member.filename} is compressed')
    if sum(member.file_size for member in members) > available:
        raise ValueError('its parts are larger than the file')
    if (damaged := archive.testzip()) is not None:
        raise ValueError(f'the checksum of {damaged} is wrong')
    (content,) = (x.filename for x in members if x.filename.endswith('/data.pkl'))
    record = read_pickle_records(io.BytesIO(archive.read(content)), lambda name: True)
    folder = content.removesuffix('data.pkl')
    for storage in _find_storages(record):
        _, kind, key, _, count = storage
        if not isinstance(key, str) or not isinstance(count, int):
            raise ValueError('a storage has no name or no length')
        claimed = count * _ELEMENT_SIZES[kind.name]
        held = archive.getinfo(f'{folder}data/{key}').file_size
        if claimed != held:
            raise ValueError(f'part {key} claims {claimed} bytes but has {held}')


def _find_storages(record: Any) -> Iterator[tuple[Any, ...]]:
    r"""Yield the type, the name and the length that the file claims for each
    storage."""
    left, seen = [record], set()
    while left:
        value = left.pop()
        if id(value) in seen or not isinstance(value, (tuple, list, PickledObject)):
            continue
        seen.add(id(value))
        if not isinstance(value, PickledObject):
            left.extend(value)
        elif value.name == PickledName('pickle', 'persistent_id'):
            yield value.args
        else:
            left += [value.name, value.args, value.state, value.items]
        pairs = value.items if isinstance(value, PickledObject) else value
        if isinstance(value, (PickledDict, PickledObject)):
            for key, _ in pairs:
                if not isinstance(key, (str, int)):
                    raise ValueError('a dictionary has a key that is not a string')
