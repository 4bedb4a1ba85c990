"""Change valid files as accidents and attackers would."""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Callable

# Tokens that mean something to one of the readers.
TOKENS = (
    *(b'null', b'true', b'NaN', b'-Infinity', b'1e999', b'-1', b'0', b'9' * 400),
    *(b'"', b"'", b'{', b'}', b'[', b']', b',', b';', b'\t', b'\n', b'\r', b'\\'),
    *(b'\0', b'\xff', b'\xef\xbb\xbf', b'\xed\xa0\x80', b'\\ud800', b'[' * 5000),
    *(b'<think>', b'</think>', b'```json\n', b'"id": 1, "id": 2', b'../../x', b'=1+1'),
    *(b'cos\nsystem\n', b'cbuiltins\ngetattr\n', b'cposix\nsystem\n(Vtrue\ntR.'),
    *(b'r\xff\xff\xff\xff', b'\x8e\xff\xff\xff\xff\xff\xff\xff\x0f', b'\x95', b'Q'),
    *(b'2\x86' * 64, b'(', b't', b'R', b'b', b'\x81', b'0', b'h\x00', b'.', b'N'),
    *(b"'shape': (1000000000000, 3)", b"'descr': '|O'", b"'descr': '<U0'"),
    *(b'<f8', b'>f8', b'|O', b'c16', b'M8', b'torch', b'_rebuild_tensor_v2'),
)
NUMBERS = (
    *(b'0', b'-1', b'1.5', b'2147483648', b'9223372036854775808', b'1' + b'0' * 15),
    *(b'9' * 5000, b'1e400', b'NaN', b'true', b'"7"', b'null'),
)
SIZES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**62)


def mutate(content: bytes, rng: random.Random) -> tuple[bytes, bool]:
    """Apply one to three changes. Half of the mutants of an archive get correct
    checksums; for these, the second value is true."""
    if content[:2] == b'PK' and rng.random() < 0.5:
        return repack(content, rng), True
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(CHANGES)(content, rng)
    return content, False


def repack(content: bytes, rng: random.Random) -> bytes:
    """Change one member of an archive, and write a new archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    members[name] = rng.choice(CHANGES)(members[name], rng)
    if rng.random() < 0.1:
        del members[name]
    out = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED,) * 4 + (zipfile.ZIP_DEFLATED,))
    with zipfile.ZipFile(out, 'w', method) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return out.getvalue()


def flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(min(len(changed), rng.choice((1, 1, 2, 8)))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def delete(content: bytes, rng: random.Random) -> bytes:
    start, stop = _slice(content, rng)
    return content[:start] + content[stop:]


def splice(content: bytes, rng: random.Random) -> bytes:
    start, stop = _slice(content, rng)
    place = rng.randrange(len(content) + 1)
    return content[:place] + content[start:stop] + content[place:]


def insert_token(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    stop = place + rng.choice((0, 0, 1, 4))
    return content[:place] + rng.choice(TOKENS) + content[stop:]


def blow_up(content: bytes, rng: random.Random) -> bytes:
    """Overwrite a few bytes with a number that may be read as a size."""
    width, order = rng.choice((1, 2, 4, 8)), rng.choice(('little', 'big'))
    size = rng.choice(SIZES) % (1 << 8 * width)
    place = rng.randrange(len(content) + 1)
    return content[:place] + size.to_bytes(width, order) + content[place + width :]


def change_number(content: bytes, rng: random.Random) -> bytes:
    """Replace a number in digits."""
    found = list(re.finditer(rb'-?[0-9]+', content[: 1 << 16]))
    if not found:
        return insert_token(content, rng)
    start, stop = rng.choice(found).span()
    return content[:start] + rng.choice(NUMBERS) + content[stop:]


def _slice(content: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, start + rng.choice((1, 2, 8, 64, 512))


CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip,
    flip,
    cut,
    delete,
    splice,
    insert_token,
    insert_token,
    blow_up,
    change_number,
)
