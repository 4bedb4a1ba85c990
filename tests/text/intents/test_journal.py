from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from pyg_irllrec.text.intents._journal import Journal, JournalEntry, count_answers
from pyg_irllrec.text.intents.intent_record import Intent

ENTRY = JournalEntry((Intent('calm', 'likes quiet', (1, 2)),), '', 2, 30, 4)
KEYS = [bytes([k // 256, k % 256]) * 16 for k in range(300)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'intents.sqlite'


def fill(path, count=3):
    with Journal(path) as journal:
        for key in KEYS[:count]:
            journal.write(key, ENTRY)


def change(path, statement):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement, (KEYS[1],))


def read(path, keys=KEYS[:3]):
    with Journal(path) as journal:
        found = {}
        for start in range(0, len(keys), 400):
            found |= journal.read(keys[start : start + 400])
        return found


def test_counts_of_a_question_add_up(path):
    with Journal(path) as journal:
        journal.write(KEYS[0], JournalEntry((), 'no', 1, 10, 1))
        journal.write(KEYS[0], ENTRY)
        assert journal.read(KEYS[:1]) == {
            KEYS[0]: JournalEntry(ENTRY.intents, '', 3, 40, 5)
        }


def test_answers_are_counted_unless_locked(path):
    assert count_answers(path.with_name('none.sqlite')) is None
    with Journal(path) as journal:
        for key, entry in zip(KEYS, (ENTRY, JournalEntry((), 'no'), ENTRY)):
            journal.write(key, entry)
        assert count_answers(path) is None
    assert count_answers(path) == 2


def test_profiles(path):
    entry = JournalEntry((), '', 1, 20, 5, 'Likes "tea"; 喝茶.')
    with Journal(path) as journal:
        journal.write(KEYS[0], JournalEntry((), 'no', 1, 10, 1))
        journal.write(KEYS[0], entry)
        journal.write(KEYS[1], ENTRY)
    found = read(path)
    assert found[KEYS[0]] == entry._replace(calls=2, prompt_tokens=30, answer_tokens=6)
    assert not found[KEYS[0]].failed
    assert found[KEYS[1]] == ENTRY


@pytest.mark.parametrize(
    'change_of',
    [
        "content = '[]'",
        "reason = 'x'",
        "calls = 'abc'",
        'calls = 3',
        'calls = 2.5',
        'prompt_tokens = 31',
        'answer_tokens = -4',
        'checksum = checksum + 1',
        "checksum = 'abc'",
        "reason = CAST(x'ff' AS TEXT)",
        "content = x'00'",
    ],
)
def test_a_damaged_entry_is_reported_and_asked_again(path, change_of):
    fill(path)
    change(path, f'UPDATE outcomes SET {change_of} WHERE key = ?')
    with pytest.warns(UserWarning, match=r'1 of 3 entries in .*intents\.sqlite are'):
        assert set(read(path)) == {KEYS[0], KEYS[2]}
    fill(path, 2)
    found = read(path)
    assert found[KEYS[1]] == ENTRY and found[KEYS[0]].calls == 4


def test_an_entry_of_another_question_is_damaged(path):
    fill(path)
    change(
        path,
        'UPDATE outcomes SET (content, checksum) = (SELECT content, checksum + 0 FROM '
        'outcomes WHERE key != ?1 LIMIT 1) WHERE key = ?1',
    )
    with pytest.warns(UserWarning, match='1 of 3 entries'):
        read(path)


@pytest.mark.parametrize('seed', range(3))
def test_a_damaged_file_is_rescued(path, seed):
    fill(path, 300)
    content = bytearray(path.read_bytes())
    place = random.Random(seed).randrange(2, len(content) // 4096 - 1) * 4096
    content[place : place + 4096] = bytes(range(256)) * 16  # One page.
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r'was damaged\. .* read'):
        found = read(path, KEYS)
    assert 200 < len(found) <= 300 and set(found.values()) == {ENTRY}
    assert path.with_name('intents.sqlite.damaged-1').read_bytes() == content
    assert read(path, KEYS) == found


@pytest.mark.parametrize('place', [20, 28, 100, 105, 110, 4096, 4100])
def test_one_damaged_byte_loses_no_entry(path, place):
    fill(path, 300)
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r'was damaged\. .* \(300 read, 0 damaged\)'):
        assert len(read(path, KEYS)) == 300


def test_damaged_entries_of_a_damaged_file_are_counted(path):
    fill(path, 300)
    change(path, 'UPDATE outcomes SET calls = 3 WHERE key = ?')
    content = bytearray(path.read_bytes())
    content[28] ^= 0xFF
    path.write_bytes(content)
    match = r'\(299 read, 1 damaged\)'
    with pytest.warns(UserWarning, match=match):
        assert len(read(path, KEYS)) == 299


def test_an_unreadable_file_stays_unchanged(path):
    fill(path, 300)
    content = path.read_bytes()[:4096]
    path.write_bytes(content)
    with pytest.raises(ValueError, match='none of its entries can be read: restore'):
        read(path)
    assert path.read_bytes() == content
    assert not list(path.parent.glob('*rescued*'))


def test_a_truncated_file_is_rescued(path):
    fill(path, 300)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.warns(UserWarning, match='was damaged'):
        found = read(path, KEYS)
    assert 30 < len(found) < 300
    path.with_name('intents.sqlite.damaged-1').unlink()
    fill(path, 300)
    assert len(read(path, KEYS)) == 300


@pytest.mark.parametrize(
    'content', [b'no database' * 99, b'SQLite format 3\0' + b'x' * 99]
)
def test_a_file_that_is_not_a_journal_stays_unchanged(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="'journal' must be a SQLite database"):
        read(path)
    assert path.read_bytes() == content and len(list(path.parent.iterdir())) == 1


def test_a_negative_count_is_damaged_despite_its_checksum(path):
    with Journal(path) as journal:
        for key, place in zip(KEYS, (2, 3, 4)):
            journal.write(key, ENTRY._make([*ENTRY[:place], -1, *ENTRY[place + 1 :]]))
    with pytest.warns(UserWarning, match='3 of 3 entries'):
        assert read(path) == {}
