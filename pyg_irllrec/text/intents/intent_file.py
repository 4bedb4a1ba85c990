from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from pyg_irllrec.text.encoders._encoder_output import as_json
from pyg_irllrec.text.intents.intent_record import IntentRecord
from pyg_irllrec.utils.files import atomic_write

PathLike = Union[str, 'os.PathLike[str]']


class IntentFile(NamedTuple):
    r"""What :func:`load_intents` reads."""

    records: list[IntentRecord]
    manifest: dict[str, Any]


def save_intents(
    path: PathLike, records: Iterable[IntentRecord], manifest: dict[str, Any]
) -> None:
    r"""Writes a record a line, in their order, and beside it a manifest that says how
    they were made: :obj:`intents.manifest.json` for :obj:`intents.jsonl`. Records hold
    no dates, so the same ones are the same file, byte by byte.

    Args:
        path (str or Path): The file, :obj:`.jsonl`.
        records (iterable of IntentRecord): The records, a node each.
        manifest (dict): What is to be known of them.

    Raises:
        ValueError: If :obj:`path` ends in something else.
    """
    path = check_path(path)
    digest = hashlib.sha256()
    with atomic_write(path, 'wb') as file:
        for line in _lines(records):
            digest.update(line)
            file.write(line)
    with atomic_write(manifest_path(path)) as file:
        json.dump(manifest | {'intents_sha256': digest.hexdigest()}, file, indent=1)
        file.write('\n')


def load_intents(path: PathLike, expect: Optional[dict[str, Any]] = None) -> IntentFile:
    r"""Reads the intents of :func:`save_intents`, and holds them against their
    manifest.

    Args:
        path (str or Path): The file, :obj:`.jsonl`.
        expect (dict, optional): What the manifest must say, such as
            :obj:`{'evidence_sha256': evidence_sha256(evidence)}`; it may say more.
            (default: :obj:`None`)

    Raises:
        FileNotFoundError: If it or its manifest is not there.
        ValueError: If they do not belong together, are damaged, or the manifest says
            something else than :obj:`expect`.
    """
    path = check_path(path)
    for each in (path, manifest_path(path)):
        if not each.is_file():
            raise FileNotFoundError(f'{each} is not there: IntentExtractor writes it')
    content = path.read_bytes()
    try:
        manifest = dict(json.loads(manifest_path(path).read_text(encoding='utf-8')))
    except ValueError as error:
        raise ValueError(f'{manifest_path(path)} is damaged: {error}') from None
    if manifest.get('intents_sha256') != hashlib.sha256(content).hexdigest():
        raise ValueError(
            f'{path} is not the file that {manifest_path(path).name} was written for: '
            'one of them was changed, or a run was stopped between the two and has to '
            'be started again'
        )
    for name, value in as_json('expect', expect or {}).items():
        if manifest.get(name) != value:
            raise ValueError(
                f"'expect' must agree with {manifest_path(path)}, which has {name} = "
                f'{json.dumps(manifest.get(name))}, not {json.dumps(value)}'
            )
    lines = content.splitlines()
    return IntentFile([IntentRecord.from_dict(json.loads(x)) for x in lines], manifest)


def manifest_path(path: Path) -> Path:
    r"""Where the manifest lies."""
    return path.with_suffix('.manifest.json')


def check_path(path: PathLike) -> Path:
    r"""The path, or a :class:`ValueError` unless it ends in :obj:`.jsonl`."""
    path = Path(path)
    if path.suffix != '.jsonl':
        raise ValueError(f"'path' must end in .jsonl, got {path}")
    return path


def _lines(records: Iterable[IntentRecord]) -> Iterator[bytes]:
    # ASCII: a line of text may hold what some readers take for a line break.
    for record in records:
        yield json.dumps(record.to_dict()).encode() + b'\n'
