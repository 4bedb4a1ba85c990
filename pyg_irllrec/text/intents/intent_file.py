from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

from pyg_irllrec.text.encoders._encoder_output import as_json
from pyg_irllrec.text.intents.intent_record import IntentRecord
from pyg_irllrec.typing import NodeId, PathLike
from pyg_irllrec.utils.argument_checks import as_path, each_of
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.json_object import parse_json_object
from pyg_irllrec.utils.printable import printable


class IntentFile(NamedTuple):
    r"""The content of an intent file, as read by :func:`load_intents`.

    Example:
        >>> from pyg_irllrec.text import Intent, IntentRecord
        >>> from pyg_irllrec.text import load_intents, save_intents
        >>> calm = Intent('Calm evenings', 'picks quiet films', evidence=(1,))
        >>> records = [IntentRecord('user', 'ann', 'ok', (calm,))]
        >>> save_intents('intents.jsonl', records, {'model': 'mine'})
        >>> file = load_intents('intents.jsonl')
        >>> file.records[0].id, file.manifest['model']
        ('ann', 'mine')
    """

    records: list[IntentRecord]
    """One record per node."""
    manifest: dict[str, Any]
    """How the records were made."""


def save_intents(
    path: PathLike, records: Iterable[IntentRecord], manifest: dict[str, Any]
) -> None:
    r"""Write one record per line, in order, and a manifest next to the file, for
    example :obj:`intents.manifest.json` for :obj:`intents.jsonl`. Records contain no
    dates, so equal records give identical files.

    Args:
        path (str or Path): The :obj:`.jsonl` file.
        records (iterable of IntentRecord): The records, one per node.
        manifest (dict): How the records were made, as JSON values.

    Raises:
        ValueError: If :obj:`path` does not end in :obj:`.jsonl`, or JSON cannot
            represent :obj:`manifest`.

    Example:
        >>> from pathlib import Path
        >>> from pyg_irllrec.text import Intent, IntentRecord, save_intents
        >>> calm = Intent('Calm evenings', 'picks quiet films', evidence=(1,))
        >>> records = [IntentRecord('user', 'ann', 'ok', (calm,))]
        >>> save_intents('intents.jsonl', records, {'model': 'mine'})
        >>> Path('intents.manifest.json').is_file()
        True
    """
    path = check_path(path)
    manifest = as_json('manifest', manifest)
    digest = hashlib.sha256()
    with atomic_write(path, 'wb') as file:
        for line in _lines(records):
            digest.update(line)
            file.write(line)
    with atomic_write(manifest_path(path)) as file:
        json.dump(manifest | {'intents_sha256': digest.hexdigest()}, file, indent=1)
        file.write('\n')


def load_intents(path: PathLike, expect: Optional[dict[str, Any]] = None) -> IntentFile:
    r"""Read a file written by :func:`save_intents` and check it against its manifest.

    Args:
        path (str or Path): The :obj:`.jsonl` file.
        expect (dict, optional): Fields that the manifest must have, such as
            :obj:`{'evidence_sha256': evidence_sha256(evidence)}`. Other fields are
            ignored. (default: :obj:`None`)

    Raises:
        FileNotFoundError: If the file or its manifest does not exist.
        ValueError: If a file is damaged, the two do not belong together, a line is not
            a record, a node has two records, or the manifest differs from
            :obj:`expect`.

    Example:
        >>> from pyg_irllrec.text import Intent, IntentRecord
        >>> from pyg_irllrec.text import load_intents, save_intents
        >>> calm = Intent('Calm evenings', 'picks quiet films', evidence=(1,))
        >>> records = [IntentRecord('user', 'ann', 'ok', (calm,))]
        >>> save_intents('intents.jsonl', records, {'model': 'mine'})
        >>> load_intents('intents.jsonl', expect={'model': 'mine'}).records == records
        True
    """
    path = check_path(path)
    for each in (path, manifest_path(path)):
        if not each.is_file():
            raise FileNotFoundError(
                f'{each} does not exist: create it with IntentExtractor'
            )
    content = path.read_bytes()
    manifest = read_manifest(path)
    if manifest.get('intents_sha256') != hashlib.sha256(content).hexdigest():
        raise ValueError(
            f'{path} does not match {manifest_path(path).name}: one of them was '
            'changed, or a run was stopped before both were written: run it again'
        )
    for name, value in as_json('expect', {} if expect is None else expect).items():
        if manifest.get(name) != value:
            raise ValueError(
                f"'expect' must agree with {manifest_path(path)}, which has {name} = "
                f'{json.dumps(manifest.get(name))}, not {json.dumps(value)}'
            )
    return IntentFile(_read_records(path, content), manifest)


def _read_records(path: Path, content: bytes) -> list[IntentRecord]:
    records: dict[tuple[str, NodeId], IntentRecord] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            record = IntentRecord.from_dict(parse_json_object(line))
            if (record.side, record.id) in records:
                raise ValueError(f'the {record.side} {record.id!r:.80} has two records')
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f'{printable(path)}, line {number}, is not a record: {printable(error)}'
            ) from None
        records[record.side, record.id] = record
    return list(records.values())


def manifest_path(path: Path) -> Path:
    r"""Return the path of the manifest."""
    return path.with_suffix('.manifest.json')


def read_manifest(path: Path) -> dict[str, Any]:
    r"""Read the manifest of an intent file.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If the manifest is damaged.
    """
    manifest = manifest_path(path)
    if not manifest.is_file():
        raise FileNotFoundError(
            f'{printable(manifest)} does not exist: keep the manifest next to '
            f'{printable(path.name)}'
        )
    try:
        return parse_json_object(manifest.read_bytes())
    except ValueError as error:
        raise ValueError(
            f'{printable(manifest)} is damaged: {printable(error)}'
        ) from None


def check_path(path: PathLike) -> Path:
    r"""Return the path. Raise a :class:`ValueError` unless it ends in :obj:`.jsonl`."""
    path = as_path('path', path)
    if path.suffix != '.jsonl':
        raise ValueError(f"'path' must end in .jsonl, got {path}")
    return path


def _lines(records: Iterable[IntentRecord]) -> Iterator[bytes]:
    # ASCII, because some readers treat other characters as line breaks.
    for record in each_of('records', records, IntentRecord):
        yield json.dumps(record.to_dict()).encode() + b'\n'
