from __future__ import annotations

import copy
import logging
import pickle
import sys
import time
import traceback

import numpy as np
import pytest

from pyg_irllrec.text import (
    CachedEncoder,
    EncodingError,
    OpenAIEncoder,
    save_vectors,
)
from tests.text.openai_server import OpenAIServer, answer, vector
from tests.text.raw_server import RawServer

KEY = 'sk-of-this-test-0123456789'


@pytest.fixture
def server(monkeypatch):
    pytest.importorskip('openai')
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    monkeypatch.setenv('OPENAI_API_KEY', KEY)
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def waits(monkeypatch):
    """The requested waits, without waiting."""
    seconds = []
    monkeypatch.setattr(time, 'sleep', seconds.append)
    return seconds


def encoder(server, **options):
    return OpenAIEncoder('small', server.url, progress=False, **options)


def test_vectors_in_the_order_of_the_texts(server):
    texts = [f'text {row}' for row in range(7)]
    vectors = encoder(server, batch_size=3)(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [vector(text) for text in texts])
    assert [len(request['input']) for request in server.requests] == [3, 3, 1]
    assert {request['model'] for request in server.requests} == {'small'}
    assert server.authorizations == [f'Bearer {KEY}'] * 3


def test_empty_texts_become_a_space_and_no_texts_need_no_request(server):
    np.testing.assert_allclose(encoder(server)(['', 'a']), [vector(' '), vector('a')])
    assert server.requests[0]['input'] == [' ', 'a']
    assert encoder(server)([]).shape == (0, 0) and len(server.requests) == 1


def test_dimensions_are_requested_and_described(server):
    narrow = encoder(server, dimensions=2)
    assert narrow(['a']).shape == (1, 2)
    assert server.requests[0]['dimensions'] == 2
    assert narrow.describe()['dimension'] == 2
    assert 'dimension' not in encoder(server).describe()
    encoder(server)(['a'])
    assert 'dimensions' not in server.requests[1]
    assert repr(narrow) == (
        f"OpenAIEncoder('small', base_url='{server.url}', dimensions=2)"
    )


def test_the_key_is_read_when_texts_are_encoded(server, monkeypatch):
    late = encoder(server)
    monkeypatch.delenv('OPENAI_API_KEY')
    with pytest.raises(ValueError, match="'api_key' must be given, or the environ"):
        late(['a'])
    assert server.requests == []
    monkeypatch.setenv('OPENAI_API_KEY', 'another\n')
    late(['a'])
    encoder(server, api_key='given')(['a'])
    assert server.authorizations == ['Bearer another', 'Bearer given']


def test_waits_as_long_as_the_server_asks(server, waits):
    server.script = [lambda request: (429, {'Retry-After': '7'}, {'error': {}})]
    np.testing.assert_allclose(encoder(server)(['a']), [vector('a')])
    assert waits == [7] and len(server.requests) == 2


def test_gives_up_after_some_retries(server, waits):
    server.script = [lambda request: (503, {}, {'error': {'message': 'busy'}})] * 3
    with pytest.raises(RuntimeError, match=r"did not encode texts with 'small'.*busy"):
        encoder(server, max_retries=2)(['a'])
    assert len(waits) == 2 and len(server.requests) == 3


def test_a_wrong_request_is_not_retried(server):
    server.script = [lambda request: (400, {}, {'error': {'message': 'too long'}})]
    with pytest.raises(EncodingError, match=r"row 0, 'a' .1 characters.:.*too long"):
        encoder(server)(['a'])
    assert len(server.requests) == 1


def with_a_limit(request):
    if any(len(text) > 1000 for text in request['input']):
        return 400, {}, {'error': {'message': 'maximum context length is 8192 tokens'}}
    return answer(request)


@pytest.mark.parametrize('cached', [False, True])
def test_a_text_that_is_too_long_is_named_and_the_others_encoded(
    server, cached, tmp_path
):
    server.script = [with_a_limit] * 99
    texts = [f'text {row}' for row in range(30)]
    texts[17] = 'x' * 40_000
    texts[21] = 'half \ud800'
    encode = encoder(server, batch_size=16)
    if cached:
        encode = CachedEncoder(encode, tmp_path / 'cache.db', progress=False)
    with pytest.raises(EncodingError) as caught:
        encode(texts)
    assert set(caught.value.reasons) == {17, 21}
    message = str(caught.value)
    assert "row 17, 'xxx" in message and '(40000 characters)' in message
    assert 'maximum context length' in message and "row 21, 'half'" in message
    good = [row for row in range(30) if row not in (17, 21)]
    expected = [vector(texts[row]) for row in good]
    np.testing.assert_allclose(caught.value.vectors[good], expected)
    answered = [
        text
        for request in server.requests
        if all(len(text) < 1000 for text in request['input'])
        for text in request['input']
    ]
    assert sorted(answered) == sorted(texts[row] for row in good)  # Paid for once.
    if cached:
        count = len(server.requests)
        with pytest.raises(EncodingError, match='row 17'):
            encode(texts)
        assert len(server.requests) == count + 1


def test_a_server_that_answers_500_to_a_long_text(server, waits):
    def broken(request):
        reply = with_a_limit(request)
        return (500, *reply[1:]) if isinstance(reply, tuple) else reply

    server.script = [broken] * 99
    with pytest.raises(EncodingError) as caught:
        encoder(server, max_retries=1)(['a', 'x' * 2000, 'b', 'c'])
    assert set(caught.value.reasons) == {1}


def test_settings_that_fail_for_every_text(server):
    server.script = [lambda request: (400, {}, {'error': {'message': 'no width'}})] * 99
    with pytest.raises(RuntimeError, match=r"did not encode texts with 'small'.*no wi"):
        encoder(server)([f'text {row}' for row in range(100)])
    assert len(server.requests) == 4


def test_an_error_inside_an_answer(server, waits):
    limited = {'error': {'message': 'rate limited', 'code': 429}}
    server.script = [lambda request: limited]
    np.testing.assert_allclose(encoder(server)(['a']), [vector('a')])
    assert len(waits) == 1
    server.script = [lambda request: {'error': 'out of order'}]
    with pytest.raises(EncodingError, match='out of order'):
        encoder(server)(['a'])


def test_a_response_without_an_end(monkeypatch):
    pytest.importorskip('openai')
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    head = b'HTTP/1.1 200 OK\r\n\r\n'

    def flood(connection):
        connection.sendall(head + b' ' * 3_000_000)

    with RawServer(flood) as url:
        with pytest.raises(EncodingError, match='longer than 900000 bytes'):
            OpenAIEncoder('small', url, api_key=KEY, batch_size=3)(['a'])


def test_one_deadline_for_the_whole_request(monkeypatch):
    pytest.importorskip('openai')
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')

    def drip(connection):
        for _ in range(40):
            connection.sendall(b'H')
            time.sleep(0.05)

    with RawServer(drip) as url:
        options = {'timeout': 0.3, 'max_retries': 0}
        before = time.monotonic()
        with pytest.raises(RuntimeError, match='did not encode'):
            OpenAIEncoder('small', url, api_key=KEY, **options)(['a'])
        assert time.monotonic() - before < 1


def test_no_server(server):
    nobody = OpenAIEncoder('small', 'http://127.0.0.1:9/v1', max_retries=0)
    with pytest.raises(
        RuntimeError, match=r'127\.0\.0\.1:9/v1 did not encode.*refused'
    ):
        nobody(['a'])


def changed(change):
    def reply(request):
        body = answer(request)
        change(body)
        return body

    return reply


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda body: body['data'].pop(0),
            r'row per text, 3 rows, got shape \(2, 4\)',
        ),
        (lambda body: body['data'].pop(), "number its embeddings from 0.*'index'"),
        (
            lambda body: body['data'][0].update(embedding=[float('nan')] * 4),
            r"row 2, 'c' .* must return finite numbers, got NaN or infinity",
        ),
        (
            lambda body: body['data'][0].update(embedding=[None] * 4),
            "row 2, 'c' .* must return finite numbers",
        ),
        (lambda body: body['data'][0]['embedding'].pop(), 'must return one matrix'),
        (lambda body: body['data'][0].update(index=0), 'must number its embeddings'),
        (lambda body: body['data'][0].update(index=[2]), 'must number its embeddings'),
        (lambda body: body['data'][0].update(index='2'), 'must number its embeddings'),
        (lambda body: body['data'][0].pop('index'), 'must number its embeddings'),
        (lambda body: body['data'].append(3), "under 'data', got none"),
        (lambda body: body.update(data={}), "under 'data', got none"),
        (
            lambda body: body['data'][0].update(embedding=[1e300] * 4),
            "row 2, 'c' .* got NaN or infinity",
        ),
        (
            lambda body: body['data'][0].update(embedding='AAAA'),
            'must return one matrix',
        ),
        (lambda body: body.pop('data'), "under 'data', got none"),
        (lambda body: body['data'][0].pop('embedding'), "under 'data', got none"),
    ],
)
def test_wrong_answers(server, change, message):
    server.script = [changed(change)]
    with pytest.raises(ValueError, match=message):
        encoder(server)(['a', 'b', 'c'])


def test_an_endpoint_that_does_not_number_its_embeddings(server):
    def reply(request):
        body = answer(request)
        body['data'] = [{'embedding': row['embedding']} for row in body['data'][::-1]]
        return body

    server.script = [reply]
    np.testing.assert_allclose(encoder(server)(['a', 'b']), [vector('a'), vector('b')])


def test_batches_of_several_widths(server):
    server.script = [answer, lambda request: answer(request | {'dimensions': 3})]
    with pytest.raises(
        ValueError, match='must return vectors of one width, got 3 and 4'
    ):
        encoder(server, batch_size=1)(['a', 'b'])


def test_an_answer_that_is_not_json(server):
    server.script = [lambda request: b'<html>']
    with pytest.raises(RuntimeError, match=r'did not encode .* JSON object, got: <htm'):
        encoder(server, max_retries=0)(['a'])


def test_the_key_is_never_shown(server, tmp_path, caplog, capfd, waits):
    caplog.set_level(logging.DEBUG)
    for given in (None, KEY):
        mine = encoder(server, api_key=given, max_retries=1)
        cached = CachedEncoder(mine, tmp_path / 'cache.db', progress=False)
        vectors = cached(['a', 'b', 'c'])
        save_vectors(tmp_path / 'vectors.npz', vectors, [1, 2, 3], cached.describe())
        # Endpoints that repeat the key, in a final and in a passing error.
        server.script = [
            lambda request: (500, {}, {'error': {'message': f'got {KEY}'}}),
            lambda request: (401, {}, {'error': {'message': f'no such key: {KEY}'}}),
        ]
        with pytest.raises(RuntimeError, match=r'no such key: \*\*\*') as caught:
            mine(['c'])
        assert caught.value.__context__ is None and caught.value.__cause__ is None
        shown = traceback.format_exception(caught.value)
        shown += [repr(mine), str(vars(mine)), repr(cached), str(mine.describe())]
        shown += [repr(copy.deepcopy(mine))]
        assert KEY not in ' '.join(shown)
    for path in tmp_path.iterdir():
        assert KEY.encode() not in path.read_bytes()
    assert KEY not in caplog.text
    assert KEY not in ''.join(capfd.readouterr())
    with pytest.raises(pickle.PicklingError, match="'api_key' cannot be pickled") as no:
        pickle.dumps(encoder(server, api_key=KEY))
    assert KEY not in str(no.value)
    content = pickle.dumps(encoder(server))
    assert KEY.encode() not in content
    assert pickle.loads(content)(['a']).shape == (1, 4)


@pytest.mark.parametrize('key', ['', ' ', 'sk-abc\u20acdef', 'sk-abc\ndef', 'sk abc'])
def test_an_invalid_key_is_refused_without_showing_it(server, key, monkeypatch):
    with pytest.raises(ValueError, match='must be printable ASCII') as caught:
        encoder(server, api_key=key)
    assert not key.strip() or key not in str(caught.value)
    monkeypatch.setenv('OPENAI_API_KEY', key)
    with pytest.raises(ValueError, match='must be printable ASCII'):
        encoder(server)(['a'])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'batch_size': 0}, "'batch_size' must be an integer of at least 1"),
        ({'dimensions': 0}, "'dimensions' must be an integer of at least 1"),
        ({'max_retries': -1}, "'max_retries' must be an integer of at least 0"),
        ({'timeout': 0}, "'timeout' must be above 0"),
        ({'base_url': 'localhost:8000'}, "'base_url' must be an http or https URL"),
        ({'base_url': 'http://me:secret@host/v1'}, 'must not contain user, password'),
        ({'base_url': 'http://host/v1?key=secret'}, 'must not contain user, password'),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        OpenAIEncoder('small', **options)
    assert 'secret' not in str(caught.value)
    with pytest.raises(ValueError, match="'model' must"):
        OpenAIEncoder('')


def test_wrong_texts(server):
    with pytest.raises(ValueError, match="'texts' must hold texts, got nan in row 1"):
        encoder(server)(['a', float('nan')])


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'openai', None)
    with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[llm\]'"):
        OpenAIEncoder('small')
