from __future__ import annotations

import json
import random
import warnings

import pytest

from benchmarks.chat_server import good
from pyg_irllrec.text.chat.openai_chat import OpenAIChat
from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.text.intents.intent_extractor import IntentExtractor
from pyg_irllrec.text.intents.intent_file import load_intents
from tests.text.chat_data import honest, profile_answer, some_evidence

pytest.importorskip('openai')
pytest.importorskip('pydantic')

NODES = some_evidence(10)


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv('OPENAI_API_KEY', raising=False)


@pytest.fixture
def out(tmp_path):
    return tmp_path / 'intents.jsonl'


@pytest.fixture
def requests(tmp_path):
    return tmp_path / 'requests.jsonl'


def extractor(**options):
    model = OpenAIChat('small', 'http://127.0.0.1:9/v1', **options)
    return IntentExtractor(model, progress=False, prompt_price=1)


def read(paths):
    return [json.loads(line) for path in paths for line in path.open()]


def answered(request, content=None, **changes):
    """A line of a provider's file in OpenAI's format."""
    message = {'role': 'assistant', 'refusal': None}
    message['content'] = good(request['body']) if content is None else content
    body = {
        'object': 'chat.completion',
        'model': 'small-2024-07-18',
        'choices': [{'index': 0, 'message': message, 'finish_reason': 'stop'}],
        'usage': {'prompt_tokens': 100, 'completion_tokens': 20},
    }
    return {
        'id': f'batch_req_{request["custom_id"][:8]}',
        'custom_id': request['custom_id'],
        'response': {'status_code': 200, 'request_id': 'x', 'body': body},
        'error': None,
    } | changes


def write(path, answers):
    path.write_text(''.join(json.dumps(each) + '\n' for each in answers))
    return path


def test_requests_equal_those_of_a_call_within_bounds(out, requests):
    evidence = [*NODES, Evidence('user', 'none', ()), Evidence('user', 'again', ('x',))]
    evidence += [Evidence('user', 'twin', ('x',))]
    paths = extractor(max_tokens=9).write_batch(evidence, out, requests, max_requests=4)
    assert [path.name for path in paths] == [f'requests-{k}.jsonl' for k in (1, 2, 3)]
    lines = read(paths)
    assert [len(read([path])) for path in paths] == [4, 4, 3]
    assert list(lines[0]) == ['custom_id', 'method', 'url', 'body']
    assert (lines[0]['method'], lines[0]['url']) == ('POST', '/v1/chat/completions')
    body = lines[0]['body']
    assert (body['model'], body['max_tokens'], body['temperature']) == ('small', 9, 0)
    assert 'user text 0' in body['messages'][1]['content']
    assert len({line['custom_id'] for line in lines}) == 11
    assert not out.with_suffix('.sqlite').exists()


def test_files_are_split_by_bytes(out, requests):
    (whole,) = extractor().write_batch(NODES, out, requests)
    size = max(map(len, whole.read_bytes().splitlines(keepends=True)))
    for bound, count in ((size, 10), (2 * size, 5)):
        parts = requests.with_name(f'{bound}.jsonl')
        paths = extractor().write_batch(NODES, out, parts, max_bytes=bound)
        assert len(paths) == count and read(paths) == read([whole])
        assert max(path.stat().st_size for path in paths) <= bound
    with pytest.raises(ValueError, match=r"'max_bytes' must be at least .* got 99 and"):
        extractor().write_batch(NODES, out, requests.with_name('x.jsonl'), max_bytes=99)
    assert not list(out.parent.glob('x-*'))


def test_answers_in_pieces_and_in_any_order(out, requests, tmp_path):
    extract = extractor()
    paths = extract.write_batch(NODES, out, requests, max_requests=6)
    answers = [answered(request) for request in read(paths)]
    random.Random(0).shuffle(answers)
    pieces = [write(tmp_path / f'{k}.jsonl', answers[k::3]) for k in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        counts = extract.read_batch(NODES, out, pieces[:1])
        assert (counts['ok'], counts['missing']) == (4, 6) and not out.exists()
        counts = extract.read_batch(NODES, out, pieces)  # The first file again.
    assert (counts['ok'], counts['missing'], counts['calls']) == (10, 0, 10)
    assert (counts['prompt_tokens'], counts['answer_tokens']) == (1000, 200)
    records, manifest = load_intents(out)
    assert {record.status for record in records} == {'ok'}
    assert manifest['model']['model'] == 'small' and manifest['cost'] == 1.0
    assert manifest['prompts']['user']['sha256'] and manifest['evidence_sha256']
    assert extract.write_batch(NODES, out, requests.with_name('more.jsonl')) == []
    assert extract(NODES, out)['counts']['calls'] == 10  # No call to a dead server.


def test_the_file_equals_that_of_a_call(out, requests, tmp_path):
    def reply(conversation):
        return good({'messages': conversation})

    extract = extractor()
    answers = map(answered, read(extract.write_batch(NODES, out, requests)))
    extract.read_batch(NODES, out, [write(tmp_path / 'a.jsonl', answers)])
    model = honest()
    model.reply = reply
    IntentExtractor(model, progress=False)(NODES, tmp_path / 'called.jsonl')
    assert out.read_bytes() == (tmp_path / 'called.jsonl').read_bytes()


def test_failures_are_kept_for_another_try(out, requests, tmp_path):
    extract = extractor()
    lines = read(extract.write_batch(NODES[:7], out, requests))
    expired = {'code': 'batch_expired', 'message': 'not in time'}
    refused = {'status_code': 400, 'body': {'error': {'message': 'too long'}}}
    broken = {'status_code': 502, 'body': 'bad gateway'}
    answers = [
        answered(lines[0]),
        answered(lines[1], response=None, error=expired),
        answered(lines[2], response=refused),
        answered(lines[3], 'I am sorry.'),
        answered(lines[4], None, response=None),
        answered(lines[5], response=broken),
        answered(lines[6], '{"intents": [{"na'),
    ]
    answers[6]['response']['body']['choices'][0]['finish_reason'] = 'length'
    path = write(tmp_path / 'a.jsonl', answers)
    for _ in range(2):  # The second time, nothing is new.
        with pytest.warns(UserWarning, match=r'that failed: 6 \(.*; \.\.\.\)$'):
            counts = extract.read_batch(NODES[:7], out, [path])
        assert (counts['ok'], counts['failed'], counts['missing']) == (1, 6, 0)
        assert (counts['calls'], counts['prompt_tokens']) == (3, 300)
    reasons = [record.reason for record in load_intents(out).records]
    assert 'not in time' in reasons[1]
    assert 'too long' in reasons[2] and lines[2]['custom_id'][:8] in reasons[2]
    assert "got none (the answer: 'I am sorry.')" in reasons[3]
    assert 'gave no answer' in reasons[4] and 'bad gateway' in reasons[5]
    assert "raise 'max_tokens'" in reasons[6]
    again = read(extract.write_batch(NODES[:7], out, tmp_path / 'again.jsonl'))
    assert again == lines[1:]
    path = write(tmp_path / 'b.jsonl', map(answered, again))
    counts = extract.read_batch(NODES[:7], out, [path])
    assert (counts['ok'], counts['failed'], counts['calls']) == (7, 0, 9)


def test_a_valid_answer_is_kept(out, requests, tmp_path):
    extract = extractor()
    (line,) = read(extract.write_batch(NODES[:1], out, requests))
    other = good(line['body']).replace('2 texts say so', 'another one')
    answers = [answered(line), answered(line, other), answered(line, 'broken')]
    path = write(tmp_path / 'a.jsonl', answers)
    with pytest.warns(UserWarning, match=r'differ .* kept: 1 \(a\.jsonl, line 2\)$'):
        assert extract.read_batch(NODES[:1], out, [path])['calls'] == 1
    assert load_intents(out).records[0].intents[0].reason == '2 texts say so'


def test_profiles_and_bare_responses(out, requests, tmp_path):
    extract = extractor()
    extract.what = 'profiles'
    lines = read(extract.write_batch(NODES, out, requests))
    assert 'profile' in lines[0]['body']['messages'][1]['content']
    answers = [answered(line, profile_answer('Likes tea.')) for line in lines]
    for each in answers:  # The format of vllm run-batch.
        each['response'] = each['response']['body']
    path = write(tmp_path / 'a.jsonl', answers)
    assert extract.read_batch(NODES, out, [path])['ok'] == 10
    assert load_intents(out).records[3].profile == 'Likes tea.'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda line: line.replace('"custom_id": "', '"custom_id": "x'),
            'does not belong',
        ),
        (
            lambda line: line.replace('custom_id', 'name'),
            'custom_id None does not belong',
        ),
        (lambda line: line[:-30], 'cannot be read'),
        (lambda line: '[]', 'must hold a JSON object'),
    ],
)
def test_foreign_and_damaged_lines_store_nothing(
    out, requests, tmp_path, change, message
):
    extract = extractor()
    lines = read(extract.write_batch(NODES, out, requests))
    path = write(tmp_path / 'a.jsonl', map(answered, lines[:2]))
    wrong = change(json.dumps({**answered(lines[2]), 'id': None}))
    path.write_text(f'{path.read_text()}\n{wrong}\n')
    with pytest.raises(ValueError, match=rf'a\.jsonl, line 4, .*{message}'):
        extract.read_batch(NODES, out, [path])
    assert len(extract.write_batch(NODES, out, tmp_path / 'b.jsonl')) == 1
    assert len(read([tmp_path / 'b-1.jsonl'])) == 10


def test_answers_of_another_model_or_text_are_foreign(out, requests, tmp_path):
    lines = read(extractor().write_batch(NODES, out, requests))
    path = write(tmp_path / 'a.jsonl', map(answered, lines))
    with pytest.raises(
        ValueError, match=r"other than 'small' at http://127.0.0.1:9/v1$"
    ):
        extractor(options={'seed': 1}).read_batch(NODES, out, [path])
    with pytest.raises(ValueError, match='written for different texts'):
        extractor().read_batch(NODES[1:], out, [path])
    assert not out.with_suffix('.sqlite').exists()


def test_a_file_with_a_byte_order_mark_or_without_its_end(out, requests, tmp_path):
    extract = extractor()
    answers = map(answered, read(extract.write_batch(NODES, out, requests)))
    path = write(tmp_path / 'a.jsonl', answers)
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    with pytest.raises(ValueError, match=r'a\.jsonl, line 10, .* is cut off within'):
        extract.read_batch(NODES, out, [path])
    path.write_bytes(b'\xef\xbb\xbf' + content[:-1])
    assert extract.read_batch(NODES, out, [path])['ok'] == 10


def test_the_most_frequent_reasons_are_named(out, requests, tmp_path):
    extract = extractor()
    lines = read(extract.write_batch(NODES[:6], out, requests))
    answers = [answered(line, f'Sorry {max(3, k)}.') for k, line in enumerate(lines)]
    path = write(tmp_path / 'a.jsonl', [*answers[4:], *answers[:4]])
    with pytest.warns(UserWarning, match=r'that failed: 6 \(4 x the answer is inv'):
        extract.read_batch(NODES[:6], out, [path])


def test_wrong_arguments(out, requests, tmp_path):
    extract = extractor()
    extract.write_batch(NODES, out, requests)
    with pytest.raises(ValueError, match=r'new name, got .*, but requests-1'):
        extract.write_batch(NODES, out, requests)
    with pytest.raises(ValueError, match=r"'requests' must end in \.jsonl"):
        extract.write_batch(NODES, out, tmp_path / 'x.csv')
    with pytest.raises(ValueError, match="'answers' must be a list of files"):
        extract.read_batch(NODES, out, str(requests))
    with pytest.raises(ValueError, match="'answers' must be files, got the folder"):
        extract.read_batch(NODES, out, [tmp_path])
    with pytest.raises(FileNotFoundError, match="'answers' must be existing"):
        extract.read_batch(NODES, out, [tmp_path / 'none.jsonl'])
    with pytest.raises(ValueError, match="'model' must be an OpenAIChat for write_bat"):
        IntentExtractor(honest()).write_batch(NODES, out, requests)
    with pytest.raises(ValueError, match="'model' must be an OpenAIChat for read_batc"):
        IntentExtractor(honest()).read_batch(NODES, out, [requests])
