from __future__ import annotations

import hashlib
import json

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


def test_saved_records_are_loaded(path):
    records, manifest = load_intents(path, expect={'model': {'model': 'm'}})
    assert records == RECORDS and set(manifest) == {'model', 'intents_sha256'}
    assert path.read_bytes().isascii() and path.read_bytes().count(b'\n') == 2
    assert path.with_suffix('.manifest.json').read_text().endswith('\n}\n')


def test_files_that_do_not_belong_together(path):
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


def test_a_failed_save_leaves_nothing(tmp_path):
    def broken():
        yield RECORDS[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        save_intents(tmp_path / 'intents.jsonl', broken(), {})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"'path' must end in \.jsonl"):
        save_intents(tmp_path / 'intents.json', [], {})


def rewrite(path, *lines):
    """Replace the records, and the hash of the manifest."""
    content = b''.join(line + b'\n' for line in lines)
    path.write_bytes(content)
    manifest = {'intents_sha256': hashlib.sha256(content).hexdigest()}
    path.with_suffix('.manifest.json').write_text(json.dumps(manifest))


RECORD = RECORDS[0].to_dict()
INTENT = RECORD['intents'][0]


def without(value, name):
    return {key: each for key, each in value.items() if key != name}


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        (None, 'must hold a JSON object, got null'),
        ([1], 'must hold a JSON object, got a list'),
        ({}, 'must have the fields side, id, status'),
        (without(RECORD, 'sources'), 'must have the fields side, id, status'),
        (RECORD | {'more': 1}, 'must have the fields .* evidence_sha256, profile, got'),
        (RECORD | {'id': 1.5}, "'id' must be an integer or a string, got 1.5"),
        (RECORD | {'id': True}, "'id' must be an integer or a string, got True"),
        (RECORD | {'id': None}, "'id' must be an integer or a string, got None"),
        (RECORD | {'id': 2**63}, "'id' must fit into 64 bits"),
        (RECORD | {'side': 3}, "'side' must be a string, got 3"),
        (RECORD | {'status': 'OK'}, "'status' must be one of 'ok', .* got 'OK'"),
        (RECORD | {'intents': []}, "either 'intents' or 'profile' must be filled in"),
        (RECORD | {'intents': {}}, "'intents' must be a list"),
        (RECORD | {'intents': ['calm']}, "'intents' must be an object, got 'calm'"),
        (RECORD | {'intents': [without(INTENT, 'name')]}, 'must have the fields name'),
        (RECORD | {'intents': [INTENT | {'evidence': [0]}]}, 'numbers from 1, got 0'),
        (RECORD | {'intents': [INTENT | {'evidence': ['1']}]}, 'must be an integer'),
        (RECORD | {'status': 'failed'}, "'intents' and 'profile' must be empty unless"),
        (
            RECORD | {'sources': [['a', 1]], 'intents': [INTENT | {'evidence': [99]}]},
            'from 1 to 1, one per source, got 99',
        ),
        (RECORD | {'sources': [['item']]}, "'sources' must hold pairs"),
        (RECORD | {'sources': [[1, 'item']]}, "'sources' must be a string"),
        (RECORD | {'evidence_sha256': 1}, "'evidence_sha256' must be a string"),
        (RECORD | {'reason': float('nan')}, 'holds NaN'),
    ],
)
def test_lines_that_are_not_records(path, line, message):
    other = json.dumps(RECORDS[1].to_dict()).encode()
    rewrite(path, other, json.dumps(line).encode())
    with pytest.raises(
        ValueError, match=rf'jsonl, line 2, is not a record: .*{message}'
    ):
        load_intents(path)


@pytest.mark.parametrize(
    'line', [b'', b'{"side": "us', b'{"a":' * 10**5, b'\xff', b'9' * 10**5]
)
def test_lines_that_are_not_json(path, line):
    rewrite(path, json.dumps(RECORD).encode(), line)
    with pytest.raises(ValueError, match='jsonl, line 2, is not a record'):
        load_intents(path)


def test_a_node_with_two_records(path):
    rewrite(path, *[json.dumps(RECORD).encode()] * 2)
    with pytest.raises(ValueError, match=r'line 2, .* the user 1 has two records'):
        load_intents(path)


@pytest.mark.parametrize('text', ['null', '[1]', '3', '{"a": NaN}', '{"a":' * 10**5])
def test_invalid_manifests(path, text):
    path.with_suffix('.manifest.json').write_text(text)
    with pytest.raises(ValueError, match=r'manifest\.json is damaged'):
        load_intents(path)


def test_a_manifest_that_json_cannot_represent(tmp_path):
    with pytest.raises(ValueError, match="'manifest' must hold JSON values"):
        save_intents(tmp_path / 'intents.jsonl', RECORDS, {'a': float('inf')})
    assert list(tmp_path.iterdir()) == []
