"""Read the rows of a SQLite file page by page, without its index structure. SQLite
itself cannot read past a damaged header or a damaged inner page. The file format is
described at https://www.sqlite.org/fileformat2.html."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HEADER_BYTES, _WAL_HEADER_BYTES, _FRAME_HEADER_BYTES = 100, 32, 24
_DEFAULT_PAGE_SIZE = 4096
_TABLE_LEAF = 13
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)  # By serial type.


def read_rows(path: Path) -> Iterator[tuple[int, tuple[Any, ...]]]:
    r"""Yield the rows of all tables, from the file and its write-ahead log, each with
    its row number. Later rows have larger numbers. Rows may be damaged or outdated."""
    size = _DEFAULT_PAGE_SIZE
    for suffix in ('', '-wal'):
        part = path.with_name(path.name + suffix)
        if not part.exists() or part.stat().st_size == 0:
            continue
        with (
            open(part, 'rb') as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            if not suffix:
                size = _read_page_size(content)
                places = range(0, len(content), size)
            else:
                first = _WAL_HEADER_BYTES + _FRAME_HEADER_BYTES
                places = range(first, len(content), size + _FRAME_HEADER_BYTES)
            for place in places:
                is_first = not suffix and place == 0
                page = content[place : place + size]
                for start in _cell_places(page, _HEADER_BYTES * is_first):
                    try:
                        yield _read_cell(page, start, size, content, not suffix)
                    except (IndexError, struct.error):
                        continue  # The cell is damaged.


def _read_page_size(content: mmap.mmap) -> int:
    size = int.from_bytes(content[16:18], 'big')
    is_valid = 512 <= size <= 32768 and size & (size - 1) == 0
    return size if is_valid else _DEFAULT_PAGE_SIZE


def _cell_places(page: bytes, start: int) -> tuple[int, ...]:
    r"""Return the offsets of the cells if the page is a leaf of a table."""
    if len(page) < start + 8 or page[start] != _TABLE_LEAF:
        return ()
    count = int.from_bytes(page[start + 3 : start + 5], 'big')
    count = min(count, (len(page) - start - 8) // 2)
    return struct.unpack_from(f'>{count}H', page, start + 8)


def _read_cell(
    page: bytes, place: int, page_size: int, content: mmap.mmap, has_overflow: bool
) -> tuple[int, tuple[Any, ...]]:
    num_bytes, place = _read_varint(page, place)
    number, place = _read_varint(page, place)
    if num_bytes <= page_size - 35:
        return number, _read_record(page[place : place + num_bytes])
    if not has_overflow or num_bytes > len(content):
        raise IndexError
    least = (page_size - 12) * 32 // 255 - 23
    here = least + (num_bytes - least) % (page_size - 4)
    here = here if here <= page_size - 35 else least
    record = bytearray(page[place : place + here])
    (following,) = struct.unpack_from('>I', page, place + here)
    while following != 0 and len(record) < num_bytes:
        start = (following - 1) * page_size
        (following,) = struct.unpack_from('>I', content, start)
        left = min(page_size - 4, num_bytes - len(record))
        piece = content[start + 4 : start + 4 + left]
        if not piece:
            raise IndexError
        record += piece
    return number, _read_record(bytes(record))


def _read_record(record: bytes) -> tuple[Any, ...]:
    header_size, place = _read_varint(record, 0)
    values: list[Any] = []
    start = header_size
    while place < header_size:
        kind, place = _read_varint(record, place)
        if kind in (8, 9):
            values.append(kind - 8)
        elif kind == 7:
            values.append(struct.unpack_from('>d', record, start)[0])
            start += 8
        elif kind == 0:
            values.append(None)
        else:
            size = (kind - 12) // 2 if kind >= 12 else _INTEGER_BYTES[kind]
            value = record[start : start + size]
            if len(value) < size:
                raise IndexError
            start += size
            if kind < 12:
                values.append(int.from_bytes(value, 'big', signed=True))
            else:
                values.append(
                    value if kind % 2 == 0 else value.decode(errors='replace')
                )
    return tuple(values)


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for end in range(place, place + 8):
        value = value << 7 | data[end] & 127
        if data[end] < 128:
            return value, end + 1
    return value << 8 | data[place + 8], place + 9
