from __future__ import annotations

import copy
import http.server
import pickle
import socket
import sys
import threading
import time
import traceback

import pytest

from benchmarks.chat_server import ChatServer, completion, good
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.openai_chat import OpenAIChat, _retry_after

KEY = 'sk-of-this-test-0123456789'
ASK = [
    {'role': 'system', 'content': 'be kind'},
    {'role': 'user', 'content': '<evidence>\n[1] "x"\n</evidence>'},
]


@pytest.fixture
def server(monkeypatch):
    pytest.importorskip('openai')
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    monkeypatch.setenv('OPENAI_API_KEY', KEY)
    with ChatServer() as server:
        yield server


def failure(server, *reply, **options):
    server.script = [lambda request: reply]
    with pytest.raises(ChatError) as caught:
        OpenAIChat('small', server.url, **options)([ASK])
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    return caught.value


def test_an_answer_with_its_tokens(server):
    chat = OpenAIChat('small', server.url + '/')
    replies = chat([ASK, ASK])
    assert replies == [good({'messages': ASK})] * 2
    assert (replies[0].prompt_tokens, replies[0].answer_tokens) == (100, 20)
    request = server.requests[0]
    assert (request['model'], request['messages']) == ('small', ASK)
    assert request['temperature'] == 0 and request['max_tokens'] == 1024
    assert request['response_format'] == {'type': 'json_object'}
    assert server.authorizations == [f'Bearer {KEY}'] * 2


def test_options(server):
    options = {'response_format': None, 'seed': 3}
    chat = OpenAIChat('small', server.url, max_tokens=9, options=options)
    chat([ASK])
    request = server.requests[0]
    assert 'response_format' not in request
    assert (request['seed'], request['max_tokens']) == (3, 9)
    assert chat.describe()['options'] == {'temperature': 0, 'max_tokens': 9, 'seed': 3}
    assert chat.describe()['language_model'] is True
    assert repr(chat) == f"OpenAIChat('small', base_url='{server.url}')"
    assert 'max_tokens' not in OpenAIChat('small', max_tokens=None).options


def test_the_key_is_read_at_the_first_call(server, monkeypatch):
    chat = OpenAIChat('small', server.url)
    monkeypatch.delenv('OPENAI_API_KEY')
    with pytest.raises(ValueError, match="'api_key' must be given, or the environ"):
        chat([ASK])
    monkeypatch.setenv('OPENAI_API_KEY', 'late\n')
    chat([ASK])
    OpenAIChat('small', server.url, api_key='given ')([ASK])
    assert server.authorizations == ['Bearer late', 'Bearer given']


@pytest.mark.parametrize('given', [None, KEY])
def test_the_key_is_nowhere(server, given):
    chat = OpenAIChat('small', server.url, api_key=given)
    chat([ASK])
    server.script = [lambda r: (401, {}, {'error': {'message': f'no such key {KEY}'}})]
    with pytest.raises(ChatError, match=r'no such key \*\*\*') as caught:
        chat([ASK])
    shown = traceback.format_exception(caught.value)
    shown += [repr(chat), repr(vars(chat)), str(chat.describe())]
    shown += [repr(vars(copy.deepcopy(chat)))]
    assert KEY not in ' '.join(shown)
    assert copy.deepcopy(chat)([ASK]) == chat([ASK])
    if given is None:
        content = pickle.dumps(chat)
        assert KEY.encode() not in content
        assert pickle.loads(content)([ASK]) == chat([ASK])
    else:
        with pytest.raises(pickle.PicklingError, match='cannot be pickled') as caught:
            pickle.dumps(chat)
        assert KEY not in str(caught.value)


@pytest.mark.parametrize('key', ['', 'sk abc', 'sk-abc\u20acdef'])
def test_a_key_that_cannot_be_sent_is_refused_unseen(server, key):
    with pytest.raises(ValueError, match='must be printable ASCII') as caught:
        OpenAIChat('small', server.url, api_key=key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    ('status', 'kind'),
    [
        (400, 'refused'),
        (401, 'final'),
        (403, 'final'),
        (404, 'final'),
        (408, 'passing'),
        (422, 'refused'),
        (429, 'passing'),
        (500, 'passing'),
        (503, 'passing'),
        (529, 'passing'),
    ],
)
def test_what_a_refusal_means(server, status, kind):
    error = failure(server, status, {}, {'error': {'message': f'see {KEY}'}})
    assert error.kind == kind and str(status) in str(error)
    assert KEY not in str(error) and '***' in str(error)
    assert len(server.requests) == 1


def test_an_empty_purse_is_final(server):
    body = {'error': {'message': 'pay', 'code': 'insufficient_quota'}}
    assert failure(server, 429, {}, body).kind == 'final'


def test_retry_after(server):
    assert failure(server, 429, {'Retry-After': '2.5'}, {}).retry_after == 2.5
    assert failure(server, 503, {'retry-after-ms': '250'}, {}).retry_after == 0.25
    assert failure(server, 500, {}, {}).retry_after is None
    then = time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime(time.time() + 30))
    assert 25 < _retry_after({'retry-after': then}) <= 30
    assert _retry_after({'retry-after': 'Wed, 01 Jan 2020 00:00:00 GMT'}) == 0
    for text in ('soon', '-3', 'nan', '', '1e999'):
        assert _retry_after({'retry-after': text}) is None


@pytest.mark.parametrize(
    'body', [b'', b'<html>', b'[]', b'{"choices": []}', b'{"choices": [{}]}', b'3']
)
def test_what_is_no_completion_may_pass(server, body):
    error = failure(server, 200, {}, body)
    assert error.kind == 'passing' and 'chat completion' in str(error)


@pytest.mark.parametrize('content', [None, 3, ['x']])
def test_a_model_that_declines_says_nothing(server, content):
    server.script = [lambda request: (200, {}, completion(content))]
    assert OpenAIChat('small', server.url)([ASK]) == ['']


def test_counts_may_be_missing(server):
    body = completion('x')
    del body['usage']
    server.script = [lambda request: (200, {}, body)]
    (reply,) = OpenAIChat('small', server.url)([ASK])
    assert (reply, reply.prompt_tokens, reply.answer_tokens) == ('x', None, None)


def test_a_server_that_hangs(server):
    server.script = [lambda request: time.sleep(1) or 'late']
    start = time.monotonic()
    with pytest.raises(ChatError, match=r'no answer within 0\.2 seconds') as caught:
        OpenAIChat('small', server.url, timeout=0.2)([ASK])
    assert time.monotonic() - start < 0.9 and caught.value.kind == 'passing'


def test_a_server_that_drips(monkeypatch):
    pytest.importorskip('openai')
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    monkeypatch.setenv('OPENAI_API_KEY', KEY)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(200)
            self.send_header('Content-Type', 'application/json')
            self.send_header('Content-Length', '1000')
            self.end_headers()
            for _ in range(60):
                self.wfile.write(b' ')
                time.sleep(0.05)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as drip:
        drip.handle_error = lambda *args: None
        threading.Thread(target=drip.serve_forever, args=(0.01,), daemon=True).start()
        url = f'http://127.0.0.1:{drip.server_port}/v1'
        start = time.monotonic()
        with pytest.raises(ChatError, match='no answer within'):
            OpenAIChat('small', url, timeout=0.3)([ASK])
        assert time.monotonic() - start < 1
        drip.shutdown()


def test_a_server_that_is_not_there(server):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        url = f'http://127.0.0.1:{free.getsockname()[1]}/v1'
        with pytest.raises(ChatError) as caught:
            OpenAIChat('small', url)([ASK])
    assert caught.value.kind == 'passing' and url in str(caught.value)


def test_wrong_arguments(monkeypatch):
    with pytest.raises(ValueError, match="'timeout' must be above 0"):
        OpenAIChat('small', timeout=0)
    with pytest.raises(ValueError, match="'max_tokens' must be above 0"):
        OpenAIChat('small', max_tokens=0)
    with pytest.raises(ValueError, match=r"'options' must hold .* got 'max_tokens'"):
        OpenAIChat('small', options={'max_tokens': 9})
    with pytest.raises(ValueError, match="'base_url' must be an http"):
        OpenAIChat('small', 'localhost:80')
    with pytest.raises(ValueError, match='must hold no user, password'):
        OpenAIChat('small', 'http://me:secret@host/v1')
    monkeypatch.setitem(sys.modules, 'openai', None)
    with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[llm\]'"):
        OpenAIChat('small')
