"""Open text files, which may be compressed."""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path

import pyarrow as pa

_NO_TEXT = ('idna', 'punycode', 'undefined')  # Encodings of names, not of files.
_COMPRESSED = (
    (rb'\x1f\x8b', 'gzip', '.gz'),
    (rb'BZh[1-9]1AY&SY', 'bzip2', '.bz2'),
    (rb'\x28\xb5\x2f\xfd', 'Zstandard', '.zst'),
)
_UNREAD = {
    b'\xfd7zXZ': 'compressed with xz: decompress it',
    b'\x04\x22\x4d\x18': 'compressed with LZ4: decompress it',
    b'7z\xbc\xaf\x27\x1c': 'a 7z archive: extract it',
    b'PK\x03\x04': 'a ZIP archive or a spreadsheet (.xlsx): extract it, or export it '
    'as CSV',
    b'\xd0\xcf\x11\xe0': 'a spreadsheet (.xls): export it as CSV',
}
_MARKS = (
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)


def check_encoding(encoding: str) -> None:
    r"""Raise a :class:`ValueError` unless Python has an encoding of this name."""
    try:
        codec = codecs.lookup(encoding)
        is_text = codec._is_text_encoding and codec.name not in _NO_TEXT
    except (LookupError, TypeError, ValueError):
        is_text = False
    if not is_text:
        raise ValueError(
            f"'encoding' must be a text encoding of Python, such as 'utf-8' or "
            f"'latin-1', got {encoding!r}"
        )


def open_text(path: Path, encoding: str, errors: str = 'strict') -> io.TextIOWrapper:
    r"""Open a file, without its byte-order mark."""
    stream = pa.input_stream(path, compression='detect')
    if codecs.lookup(encoding).name == 'utf-8':
        encoding = 'utf-8-sig'
    return io.TextIOWrapper(stream, encoding, errors, newline='')


def check_content(path: Path, encoding: str) -> None:
    r"""Raise a :class:`ValueError` for a file that is not text, or whose first bytes
    are in another encoding."""
    _check_compression(path)
    with pa.input_stream(path, compression='detect') as stream:
        start = stream.read(64)
    if start[:4] == b'PAR1':
        raise ValueError(f'{path} is a Parquet file: read it as one (from_parquet)')
    width = codecs.lookup(encoding).name.replace('_', '-')[:6]
    for mark, name in _MARKS:
        if start.startswith(mark):
            if width != name:
                raise ValueError(f"{path} is in {name.upper()}: pass encoding='{name}'")
            return
    # In UTF-16, half of the bytes of Latin letters are zero.
    if 3 * start.count(0) > len(start) and width not in ('utf-16', 'utf-32'):
        end = 'le' if start[1:2] == b'\0' else 'be'
        raise ValueError(
            f'{path} is not text in {encoding}, got zero bytes: it may be in UTF-16 '
            f"(pass encoding='utf-16-{end}')"
        )


def _check_compression(path: Path) -> None:
    r"""Raise a :class:`ValueError` for a compressed file without the right suffix."""
    with open(path, 'rb') as file:
        start = file.read(16)
    for mark, kind in _UNREAD.items():
        if start.startswith(mark):
            raise ValueError(f'{path} is {kind}')
    for pattern, name, suffix in _COMPRESSED:
        if re.match(pattern, start) and path.suffix != suffix:
            raise ValueError(
                f'{path} is compressed with {name}: decompress it, or rename it to end '
                f'in {suffix!r}'
            )
