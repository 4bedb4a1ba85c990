from __future__ import annotations

import pytest

from pyg_irllrec.text.intents.intent_file import load_intents, save_intents
from pyg_irllrec.text.intents.intent_record import Intent, IntentRecord

RECORDS = [
    IntentRecord(
        'user', 1, 'ok', (Intent('a\u2028', 'b', (1,)),), '', (('item', 'x'),)
    ),
    IntentRecord('item', 'x', 'failed', (), 'why'),
]


@pytest.fixture
def path(tmp_path):
    save_intents(tmp_path / 'intents.jsonl', RECORDS, {'model': {'model': 'm'}})
    return tmp_path / 'intents.jsonl'


def test_records_come_back(path):
    records, manifest = load_intents(path, expect={'model': {'model': 'm'}})
    assert records == RECORDS and set(manifest) == {'model', 'intents_sha256'}
    assert path.read_bytes().isascii() and path.read_bytes().count(b'\n') == 2


def test_what_does_not_belong_together(path):
    with pytest.raises(ValueError, match=r"'expect' must agree .* which has model"):
        load_intents(path, expect={'model': 'n'})
    path.write_bytes(path.read_bytes().replace(b'why', b'not'))
    with pytest.raises(ValueError, match='does not match'):
        load_intents(path)
    manifest = path.with_suffix('.manifest.json')
    manifest.write_text('{"a')
    with pytest.raises(ValueError, match='is damaged'):
        load_intents(path)
    manifest.unlink()
    with pytest.raises(FileNotFoundError, match=r'manifest\.json does not exist'):
        load_intents(path)


def test_nothing_is_left_of_what_fails(tmp_path):
    def broken():
        yield RECORDS[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        save_intents(tmp_path / 'intents.jsonl', broken(), {})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"'path' must end in \.jsonl"):
        save_intents(tmp_path / 'intents.json', [], {})
