from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from benchmarks.chat_server import ChatServer, completion, good
from pyg_irllrec.text.intents.intent_file import load_intents
from tests.cli.calls import call

pytest.importorskip('openai')

KEY = 'sk-of-this-test-0123456789'
URL = ['data', '--llm', 'http://x/v1', '--model', 'm']
KINDS = ['horror', 'comedy', 'drama']


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('OPENAI_API_KEY', KEY)
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    monkeypatch.chdir(tmp_path)
    with open('ratings.csv', 'w', newline='') as file:
        table = csv.writer(file)
        table.writerow(['user', 'item', 'when'])
        for user in range(12):
            for place in range(6):
                table.writerow([f'u{user}', (3 * user + 7 * place) % 20, place])
    with open('items.csv', 'w', newline='') as file:
        table = csv.writer(file)
        table.writerow(['item', 'title', 'genre'])
        table.writerows([k, f'Film {k}', KINDS[k % 3]] for k in range(20))
    words = ('--interactions', 'ratings.csv', '--items', 'items.csv', '--out', 'data')
    assert call('prepare', *words, '--quiet') == 0
    return tmp_path


def test_without_a_language_model(capsys):
    capsys.readouterr()
    assert call('intents', 'data', '--llm', 'extractive') == 0
    records, manifest = load_intents('data/intents.jsonl')
    assert [r.side for r in records] == ['user'] * 12 + ['item'] * 20
    assert {r.status for r in records} == {'ok'}
    assert manifest['model']['language_model'] is False
    out = capsys.readouterr().out
    assert 'user u0\n' in out and 'item 0\n' in out and 'ok: 32' in out


def test_profiles_as_json(capsys):
    capsys.readouterr()
    words = ('--llm', 'extractive', '--what', 'profiles', '--json')
    assert call('intents', 'data', *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found['path'] == 'data/profiles.jsonl' and found['counts']['ok'] == 32
    records, manifest = load_intents('data/profiles.jsonl')
    assert manifest['what'] == 'profiles' and records[0].profile
    assert not Path('data/intents.jsonl').exists()


def test_an_endpoint_end_to_end(folder, capsys):
    path = Path('data/intents.jsonl')
    with ChatServer(failing=0.1, seed=1) as server:
        args = ('intents', 'data', '--llm', server.url, '--model', 'small')
        args += ('--price', '0.1', '--answer-price', '0.2')
        capsys.readouterr()
        assert call(*args, '--dry-run', '--json') == 0
        estimate = json.loads(capsys.readouterr().out)
        assert estimate['calls'] == 32 and estimate['cost'] > 0
        assert server.requests == [] and not path.exists()
        assert call(*args) == 0
        content, count = path.read_bytes(), len(server.answered)
        assert call(*args) == 0
    assert count == len(server.answered) == 32
    assert path.read_bytes() == content
    printed = capsys.readouterr()
    assert printed.out.count('ok: 32') == 2 and 'cost:' in printed.out
    assert KEY not in printed.out + printed.err
    files = [path for path in folder.rglob('*') if path.is_file()]
    assert not any(KEY.encode() in path.read_bytes() for path in files)


def test_batch_files(folder, monkeypatch, capsys):
    monkeypatch.delenv('OPENAI_API_KEY')
    args = ('intents', 'data', '--llm', 'http://127.0.0.1:9/v1', '--model', 'small')
    capsys.readouterr()
    assert call(*args, '--write-batch', 'batch.jsonl', '--json') == 0
    assert json.loads(capsys.readouterr().out) == {'files': ['batch-1.jsonl']}
    assert call(*args, '--write-batch', 'batch.jsonl') == 2
    assert '--write-batch must be a new name' in capsys.readouterr().err
    lines = [json.loads(line) for line in open('batch-1.jsonl')]
    for name, part in (('a', lines[:20]), ('b', lines[20:])):
        with open(f'{name}.jsonl', 'w') as file:
            for line in part:
                body = completion(good(line['body']))
                answer = {'custom_id': line['custom_id'], 'response': {'body': body}}
                file.write(json.dumps(answer) + '\n')
    assert call(*args, '--read-batch', 'a.jsonl') == 1
    assert '12 missing: intents.jsonl is written once' in capsys.readouterr().out
    assert not Path('data/intents.jsonl').exists()
    both = ('--read-batch', 'a.jsonl', '--read-batch', 'b.jsonl')
    assert call(*args, *both, '--json') == 0
    found = json.loads(capsys.readouterr().out)
    assert found['counts']['ok'] == 32 and found['path'] == 'data/intents.jsonl'
    assert len(load_intents('data/intents.jsonl').records) == 32
    assert call(*args, '--write-batch', 'more.jsonl') == 0
    assert 'every request has an answer' in capsys.readouterr().out


def test_results_of_another_model_are_replaced_only_with_force(capsys):
    path = Path('data/intents.jsonl')
    with ChatServer() as server:
        args = ('intents', 'data', '--llm', server.url, '--model', 'small')
        assert call(*args) == 0
        content = path.read_bytes()
        capsys.readouterr()
        assert call('intents', 'data', '--llm', 'extractive') == 2
        error = capsys.readouterr().err
        assert "contains the results of 'small', got 'ExtractiveModel'" in error
        assert path.read_bytes() == content
        assert call('intents', 'data', '--llm', 'extractive', '--dry-run') == 0
        assert call('intents', 'data', '--llm', 'extractive', '--force') == 0
        assert path.read_bytes() != content
        path.with_suffix('.manifest.json').unlink()
        assert call(*args) == 0


def test_failed_requests_are_repeated(capsys):
    bad = {'choices': [{'message': {'content': 'no'}, 'finish_reason': 'stop'}]}
    with ChatServer() as server:
        args = ('intents', 'data', '--llm', server.url, '--model', 'small')
        args += ('--concurrency', 1)
        server.script = [lambda _: (200, {}, bad)] * 6
        assert call(*args) == 1
        out = capsys.readouterr().out
        assert 'user u0 and 2 more failed: the answer is invalid' in out
        assert '3 failed: run the same command to repeat' in out
        assert call(*args) == 0


def test_a_rejected_key_is_one_line(capsys):
    with ChatServer() as server:
        server.script = [lambda r: (401, {}, {'error': {'message': KEY}})] * 40
        assert call('intents', 'data', '--llm', server.url, '--model', 'small') == 2
    error = capsys.readouterr().err
    assert (
        '401' in error
        and 'run the same command to continue' in error
        and KEY not in error
    )
    assert not Path('data/intents.jsonl').exists()


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['data', '--llm', 'gpt'], "must be 'extractive', 'local' or an http"),
        (['data', '--llm', 'http://x/v1'], '--llm URL needs --model'),
        (['data', '--llm', 'local'], '--llm local needs --model'),
        (['data', '--llm', 'extractive', '--user-prompt', 'x.md'], 'x.md'),
        (['data', '--llm', 'extractive', '--rpm', '-1'], '--rpm must be'),
        (
            ['data', '--llm', 'extractive', '--write-batch', 'x.jsonl'],
            '--write-batch needs --llm URL',
        ),
        (
            [*URL, '--read-batch', 'x', '--write-batch', 'y'],
            '--write-batch and --read-batch exclude each other',
        ),
        (['data'], "Missing option '--llm'"),
        (
            ['nowhere', '--llm', 'extractive'],
            'must be a folder that pyg-irllrec prepare wrote',
        ),
    ],
)
def test_wrong_arguments_are_rejected(words, message, capsys):
    capsys.readouterr()
    assert call('intents', *words) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith('error: ')
