from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from benchmarks.chat_server import ChatServer
from pyg_irllrec.text.intents.intent_file import load_intents
from tests.examples.run_example import Done, run_example

pytest.importorskip('pyarrow')
pytest.importorskip('openai')

KEY = 'sk-of-this-test-0123456789'
KINDS = ['horror', 'comedy', 'drama']
COLUMNS = ('--user', 'who', '--item', 'what', '--timestamp', 'when')
TEXTS = ('--items', 'items.csv', '--item-text', 'title', 'kind')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with open(tmp_path / 'ratings.csv', 'w', newline='') as file:
        table = csv.writer(file)
        table.writerow(['who', 'what', 'stars', 'when'])
        for user in range(12):
            for place in range(6):
                item = (3 * user + 7 * place) % 20
                table.writerow([f'u{user}', item, 1 + place % 5, 100 * user + place])
    with open(tmp_path / 'items.csv', 'w', newline='') as file:
        table = csv.writer(file)
        table.writerow(['what', 'title', 'kind'])
        table.writerows([k, f'Film {k}', KINDS[k % 3]] for k in range(20))
    return tmp_path


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('OPENAI_API_KEY', KEY)
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')


def call(folder: Path, *args: str) -> Done:
    options = ('--interactions', 'ratings.csv', *COLUMNS, *TEXTS)
    options += ('--out', 'intents.jsonl', '--quiet')
    return run_example('extract_intents', *options, *args, cwd=folder)


def test_without_a_language_model(folder):
    done = call(folder, '--llm', 'extractive', '--rating', 'stars')
    assert done.returncode == 0, done.stderr
    records, manifest = load_intents(folder / 'intents.jsonl')
    assert [r.side for r in records] == ['user'] * 12 + ['item'] * 20
    assert {r.status for r in records} == {'ok'}
    assert manifest['model']['language_model'] is False
    assert manifest['data_options']['rating'] == 'stars'
    assert manifest['data_options']['min_rating'] is None
    assert 'user u0' in done.stdout and 'item 0' in done.stdout


def test_profiles(folder):
    out = ('--what', 'profiles', '--out', 'profiles.jsonl')
    done = call(folder, '--llm', 'extractive', *out)
    assert done.returncode == 0, done.stderr
    records, manifest = load_intents(folder / 'profiles.jsonl')
    assert manifest['what'] == 'profiles' and {r.status for r in records} == {'ok'}
    assert not any(r.intents for r in records)
    assert f'user u0\n  {records[0].profile}\n' in done.stdout


def test_an_endpoint_end_to_end(folder):
    with ChatServer(failing=0.1, seed=1) as server:
        asked = ('--llm', server.url, '--model', 'small', '--price', '0.1', '0.2')
        dry = call(folder, *asked, '--dry-run')
        assert dry.returncode == 0, dry.stderr
        estimate = json.loads(dry.stdout)
        assert estimate['calls'] == 32 and estimate['cost'] > 0
        assert server.requests == [] and not (folder / 'intents.jsonl').exists()
        done = call(folder, *asked)
        assert done.returncode == 0, done.stderr
        content = (folder / 'intents.jsonl').read_bytes()
        count = len(server.answered)
        again = call(folder, *asked)
    assert count == len(server.answered) == 32
    assert (folder / 'intents.jsonl').read_bytes() == content
    assert 'ok: 32' in again.stdout and 'cost:' in again.stdout
    texts = [done.stdout, done.stderr, again.stdout]
    assert not any(KEY in text for text in texts)
    files = [path for path in folder.rglob('*') if path.is_file()]
    assert not any(KEY.encode() in path.read_bytes() for path in files)


def test_whatever_stops_it_is_said_in_one_line(folder):
    with ChatServer() as server:
        server.script = [lambda r: (401, {}, {'error': {'message': KEY}})] * 40
        done = call(folder, '--llm', server.url, '--model', 'small')
    assert done.returncode == 2 and KEY not in done.stderr
    assert '401' in done.stderr and 'continues from here' in done.stderr
    assert 'Traceback' not in done.stderr
    assert not (folder / 'intents.jsonl').exists()


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--llm', 'gpt'], "must be 'extractive', 'local' or an http"),
        (['--llm', 'http://x/v1'], '--llm URL needs --model'),
        (['--llm', 'local'], '--llm local needs --model'),
        (['--llm', 'extractive', '--min-rating', '3'], '--min-rating needs --rating'),
        (['--llm', 'extractive', '--out', 'x.csv'], 'must end in .jsonl'),
    ],
)
def test_wrong_arguments(folder, args, message):
    done = call(folder, *args)
    assert done.returncode == 2 and message in done.stderr
    assert 'Traceback' not in done.stderr
