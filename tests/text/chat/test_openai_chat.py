from __future__ import annotations

import copy
import gzip
import json
import pickle
import re
import socket
import sys
import time
import traceback
import warnings
import zlib

import pytest

from benchmarks.chat_server import ChatServer, completion, good
from pyg_irllrec.text._endpoint import read_retry_after
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.openai_chat import OpenAIChat
from tests.text.raw_server import RawServer

KEY = 'sk-of-this-test-0123456789'
ASK = [
    {'role': 'system', 'content': 'be kind'},
    {'role': 'user', 'content': '<evidence>\n[1] "x"\n</evidence>'},
]


@pytest.fixture
def environment(monkeypatch):
    pytest.importorskip('openai')
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    monkeypatch.setenv('OPENAI_API_KEY', KEY)


@pytest.fixture
def server(environment):
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
def test_the_key_is_never_shown(server, given):
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
def test_an_invalid_key_is_refused_without_showing_it(server, key):
    with pytest.raises(ValueError, match='must be printable ASCII') as caught:
        OpenAIChat('small', server.url, api_key=key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    ('status', 'kind'),
    [
        (400, 'refused'),
        (401, 'final'),
        (403, 'refused'),  # A single text may cause it: moderation, or a firewall.
        (404, 'refused'),
        (408, 'passing'),
        (422, 'refused'),
        (429, 'passing'),
        (500, 'passing'),
        (503, 'passing'),
        (529, 'passing'),
    ],
)
def test_the_kind_of_a_refusal(server, status, kind):
    error = failure(server, status, {}, {'error': {'message': f'see {KEY}'}})
    assert error.kind == kind and str(status) in str(error)
    assert KEY not in str(error) and '***' in str(error)
    assert len(server.requests) == 1


def test_an_exhausted_quota_is_final(server):
    body = {'error': {'message': 'pay', 'code': 'insufficient_quota'}}
    assert failure(server, 429, {}, body).kind == 'final'
    body = {'error': {'message': 'pay', 'code': 429, 'type': 'insufficient_quota'}}
    assert failure(server, 429, {}, body).kind == 'final'


def test_an_unknown_model_is_final(server):
    body = {'error': {'message': 'no', 'code': 'model_not_found'}}
    assert failure(server, 404, {}, body).kind == 'final'


def test_retry_after(server):
    assert failure(server, 429, {'Retry-After': '2.5'}, {}).retry_after == 2.5
    assert failure(server, 503, {'retry-after-ms': '250'}, {}).retry_after == 0.25
    assert failure(server, 500, {}, {}).retry_after is None
    then = time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime(time.time() + 30))
    assert 25 < read_retry_after({'retry-after': then}) <= 30
    assert read_retry_after({'retry-after': 'Wed, 01 Jan 2020 00:00:00 GMT'}) == 0
    for text in ('soon', '-3', 'nan', '', '1e999'):
        assert read_retry_after({'retry-after': text}) is None


@pytest.mark.parametrize(
    'body', [b'', b'<html>', b'[]', b'{"choices": []}', b'{"choices": [{}]}', b'3']
)
def test_an_invalid_completion_is_passing(server, body):
    error = failure(server, 200, {}, body)
    assert error.kind == 'passing'
    assert re.search('must be a (JSON object|chat completion), got', str(error))
    assert body.decode() in str(error)


CUT_OFF = ('max_tokens', 'MAX_TOKENS', 'model_length', 'max_output_tokens')
FILTERED = ('SAFETY', 'refusal', 'sensitive', 'RECITATION')


def chosen(content='{"a": 1', reason='stop', usage=None, **message):
    body = completion(content)
    body['choices'][0]['finish_reason'] = reason
    body['choices'][0]['message'] |= message
    return body | ({} if usage is None else {'usage': usage})


@pytest.mark.parametrize(
    ('body', 'message'),
    [
        (chosen(reason='length'), r"cut off .*'length'\): raise 'max_tokens'"),
        (chosen(reason='content_filter'), "content filter withheld .*'content_filter'"),
        (chosen(reason='error'), 'failed before the answer was complete'),
        *((chosen(reason=r), f"cut off .*'{r}'.: raise 'max_tokens'") for r in CUT_OFF),
        *((chosen(reason=r), f"content filter withheld .*'{r}'") for r in FILTERED),
        (
            chosen(reason='insufficient_system_resource'),
            "complete .*'insufficient_system",
        ),
        (chosen('x', 'odd'), "ended the answer before it was complete .*'odd'"),
        (chosen(None), r"returned no text \(finish_reason 'stop'\)"),
        (chosen(' \n'), 'returned no text'),
        (chosen(3), 'returned no text'),
        (chosen([]), 'returned no text'),
        (chosen(None, 'length'), "raise 'max_tokens'"),
        (chosen(None, refusal='I will not.'), 'the model declined: I will not'),
        (chosen([{'type': 'refusal', 'refusal': 'No.'}]), 'the model declined: No'),
        *(
            (chosen('x', role=r), f"have the role .*got '{r}'")
            for r in ('user', 'tool')
        ),
        (chosen('', reasoning_content='{"a": 1}'), 'thoughts and no answer: raise'),
        (chosen(None, reasoning='{"a": 1}'), 'thoughts and no answer: raise'),
        (chosen('', reasoning_details=[{'text': 'x'}]), 'thoughts and no answer'),
        (chosen(None, thinking='x'), 'thoughts and no answer'),
        (chosen([{'type': 'thinking', 'thinking': '{}'}]), 'thoughts and no answer'),
    ],
)
def test_the_cause_of_a_missing_answer(server, body, message):
    error = failure(server, 200, {}, body)
    assert error.kind == 'refused' and re.search(message, str(error))
    assert (error.reply.prompt_tokens, error.reply.answer_tokens) == (100, 20)


@pytest.mark.parametrize(
    ('body', 'expected'),
    [
        (chosen([{'type': 'text', 'text': 'x'}]), 'x'),
        (
            chosen(
                [
                    {'type': 'thinking', 'thinking': [{'type': 'text', 'text': 'no'}]},
                    {'type': 'output_text', 'text': 'x'},
                    3,
                    {'text': {'value': 'y'}},
                    {'type': 'text', 'text': None},
                ]
            ),
            '\nx\n\ny\n',
        ),
        (chosen(['x']), 'x'),
        (chosen([{'type': None, 'text': 'x'}]), 'x'),
        *((chosen('x', reason), 'x') for reason in (None, 'STOP', 'end_turn', 'eos')),
        (chosen('```json\n{"a": 1}\n```', 'odd'), '```json\n{"a": 1}\n```'),
        (chosen({'type': 'text', 'text': 'x'}), 'x'),
        (
            chosen(None, tool_calls=[{'function': {'arguments': '{"a": 1}'}}]),
            '{"a": 1}',
        ),
        (chosen('{"a": 1}  \n\n', 'length'), '{"a": 1}  \n\n'),  # It is complete.
        (chosen('x', 'tool_calls', tool_calls=[None, {'function': 3}]), 'x'),
        *((chosen('x', role=role), 'x') for role in (None, '', 'Assistant', 'model')),
        (chosen('x', 3, refusal='', reasoning=7), 'x'),
    ],
)
def test_the_text_of_an_answer_in_any_form(server, body, expected):
    server.script = [lambda request: (200, {}, body)]
    assert OpenAIChat('small', server.url)([ASK]) == [expected]


@pytest.mark.parametrize(
    ('error', 'kind', 'message'),
    [
        ({'message': 'upstream rate limited', 'code': 429}, 'passing', '429, upstream'),
        ({'message': 'upstream rate limited', 'code': '429'}, 'passing', '429, upst'),
        ({'message': 'slow down', 'code': 'rate_limit_exceeded'}, 'passing', 'slow'),
        ({'message': 'too many', 'type': 'overloaded_error'}, 'passing', 'too many'),
        ({'message': 'x', 'code': 'rate_limited'}, 'passing', 'rate_limited, x'),
        ({'message': 'x', 'code': 'too_many_requests'}, 'passing', 'too_many_req'),
        ({'message': 'x', 'status': 'RESOURCE_EXHAUSTED'}, 'passing', 'EXHAUSTED, x'),
        ({'message': 'x', 'type': 'ThrottlingException'}, 'passing', 'Throttl.*, x'),
        ({'message': 'x', 'status': 'UNAVAILABLE'}, 'passing', 'UNAVAILABLE, x'),
        ({'message': 'x', 'type': 'internal_server_error'}, 'passing', 'x'),
        ({'message': 'x', 'type': 'invalid_request_error'}, 'refused', 'x'),
        ({'message': 'x', 'status': 'UNAUTHENTICATED'}, 'final', 'x'),
        ('model overloaded', 'passing', 'model overloaded'),
        (
            {'message': 'failed', 'code': 429, 'metadata': {'raw': 'too fast'}},
            'passing',
            r'429, failed \(too fast\)',
        ),
        ({'message': 'bad', 'code': 403}, 'refused', '403, bad'),
        ({'message': 'bad', 'code': 400}, 'refused', '400, bad'),
        ({'message': 'bad key', 'code': 401}, 'final', '401, bad key'),
        ({'message': 'pay', 'code': 'insufficient_quota'}, 'final', 'pay'),
        ('out of order', 'refused', 'out of order'),
        ({'code': None, 'message': ['odd', 3]}, 'refused', 'odd'),
        ({'code': {}, 'message': None}, 'refused', 'code'),
        ([1], 'refused', '1'),
        ({'message': '\ud800 half'}, 'refused', 'half'),
        ({'message': f'your key {KEY}'}, 'refused', r'your key \*\*\*'),
    ],
)
def test_an_error_inside_an_answer(server, error, kind, message):
    caught = failure(server, 200, {}, {'error': error})
    assert caught.kind == kind and re.search(message, str(caught))
    str(caught).encode()


@pytest.mark.parametrize(
    ('body', 'kind', 'message'),
    [
        ({'object': 'error', 'message': 'no model', 'code': 404}, 'refused', '404, no'),
        ({'code': 401, 'msg': 'Unauthorized'}, 'final', '401, Unauthorized'),
        ({'success': False, 'message': 'slow', 'code': 429}, 'passing', '429, slow'),
        ({'errors': [{'message': 'slow', 'code': 429}]}, 'passing', '429, slow'),
        ([{'error': {'message': 'slow', 'code': 429}}], 'passing', '429, slow'),
        (
            {'choices': None, 'base_resp': {'status_code': 1004, 'status_msg': 'bad'}},
            'refused',
            'bad',
        ),
        (
            {'choices': [{'error': {'code': 502, 'message': 'gone'}}]},
            'passing',
            '502, gone',
        ),
    ],
)
def test_an_error_instead_of_an_answer(server, body, kind, message):
    caught = failure(server, 200, {}, body)
    assert caught.kind == kind
    assert str(caught).startswith(f'{server.url}: {message}')


@pytest.mark.parametrize(('code', 'kind'), [(429, 'passing'), (400, 'refused')])
def test_an_error_within_a_choice(server, code, kind):
    body = chosen('{"a', 'error')
    body['choices'][0]['error'] = {'code': code, 'message': 'gone'}
    caught = failure(server, 200, {}, body)
    assert caught.kind == kind and str(caught) == f'{server.url}: {code}, gone'
    assert caught.reply.answer_tokens == 20


def test_a_count_of_thousands_of_digits_loses_no_answer(server):
    body = json.dumps(chosen('x', usage={'prompt_tokens': 7})).replace('7', '9' * 5000)
    server.script = [lambda request: (200, {}, body.encode())]
    (reply,) = OpenAIChat('small', server.url)([ASK])
    assert (reply, reply.prompt_tokens) == ('x', None)


@pytest.mark.parametrize(
    ('body', 'message'),
    [
        (b'{"error": {"message": "half \\ud800 a pair"}}', '400, half a pair'),
        (b'<html><style>p {}</style><h1>Too large</h1></html>', '400, Too large'),
        (b'{"error": "plain"}', '400, plain'),
        (b'{"detail": [{"msg": "field required"}]}', 'field required'),
        (b'{"message": "of a proxy"}', '400, of a proxy'),
        (b'\xff\xfe\0', '400, '),
        (b'{"error": {"code": [], "message": 3}}', '400, '),
        (b'[' * 100_000, '400, '),
        (b'{"error": {"message": "' + b'x' * 10**6 + b'"}}', '400, xxx'),
        (b'', '400, 0 bytes'),
    ],
)
def test_the_words_of_a_server_in_any_form(server, body, message):
    error = failure(server, 400, {'Content-Type': 'text/plain; charset=none'}, body)
    assert error.kind == 'refused' and message in str(error)
    assert len(str(error)) < 400 and '\n' not in str(error)
    str(error).encode()


def answered_by(server, asked, answering):
    server.script = [lambda request: (200, {}, chosen('x') | {'model': answering})] * 2
    chat = OpenAIChat(asked, server.url)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        assert chat([ASK, ASK]) == ['x', 'x']
    # Without warnings about sockets that are collected meanwhile.
    return [str(w.message) for w in caught if w.category is UserWarning]


@pytest.mark.parametrize(
    ('asked', 'answering'),
    [
        ('gpt-4o', 'gpt-4o-2024-08-06'),
        ('gpt-4o-2024-08-06', 'gpt-4o'),
        ('openai/GPT-4', 'gpt-4-0613'),
        ('claude-3-5-sonnet-latest', 'claude-3-5-sonnet-20241022'),
        ('command-r', 'command-r-08-2024'),
        ('gemini-2.5-pro', 'models/gemini-2.5-pro-preview-05-06'),
        ('llama3', 'llama3:latest'),
        ('qwen', '/models/qwen.gguf'),
        ('small', None),
        ('small', 3),
        ('small', ' '),
    ],
)
def test_a_version_of_the_model_is_the_same_model(server, asked, answering):
    assert answered_by(server, asked, answering) == []


@pytest.mark.parametrize(
    ('asked', 'answering'),
    [
        ('gpt-4', 'gpt-3.5-turbo'),
        ('gpt-4o', 'gpt-4o-mini'),
        ('gpt-4o', 'gpt-4o-mini-2024-07-18'),
        ('claude-opus-4', 'claude-opus-4-1-20250805'),
        ('gpt-4o-2024-05-13', 'gpt-4o-2024-08-06'),
        ('o1', 'o1-preview'),
    ],
)
def test_a_different_model_is_reported_once(server, asked, answering):
    (message,) = answered_by(server, asked, answering)
    assert message.endswith(
        f'the model {asked!r}, but the response names {answering!r}'
    )


def test_the_name_of_another_model_is_shown_in_one_line_without_the_key(server):
    (message,) = answered_by(server, 'small', f'odd\n\x1b{KEY}')
    assert message.endswith("'odd ***'")


def test_a_redirect_is_not_followed(server):
    error = failure(server, 307, {'Location': 'http://other.example/v1'}, {})
    assert error.kind == 'final' and len(server.requests) == 1
    assert 'redirects to http://other.example/v1: pass that URL' in str(error)


def test_a_valid_answer_that_repeats_the_key(server):
    server.script = [lambda request: f'Bearer {KEY}']
    assert OpenAIChat('small', server.url)([ASK]) == ['Bearer ***']


@pytest.mark.parametrize(
    'count', [10**30, -1, '7', 1.5, True, None, float('nan'), float('inf'), [], {}]
)
def test_invalid_counts_are_unknown(server, count):
    usage = {'prompt_tokens': count, 'completion_tokens': 20}
    server.script = [lambda request: (200, {}, chosen('x', usage=usage))]
    (reply,) = OpenAIChat('small', server.url)([ASK])
    assert (reply.prompt_tokens, reply.answer_tokens) == (None, 20)


@pytest.mark.parametrize('usage', [3, [], 'many', {'prompt_tokens': {}}])
def test_usage_of_any_type(server, usage):
    server.script = [lambda request: (200, {}, chosen('x', usage=usage))]
    (reply,) = OpenAIChat('small', server.url)([ASK])
    assert (reply, reply.prompt_tokens) == ('x', None)


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


HEAD = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
ERROR = b'HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n'


@pytest.mark.parametrize(
    'start',
    [
        HEAD + b'Content-Length: 1000\r\n\r\n',
        ERROR + b'Content-Length: 1000\r\n\r\n',
        HEAD + b'X-Dripped: ',
        b'',
        b'HTTP/1.1 100 Continue\r\n\r\n',
    ],
)
def test_a_server_that_drips(environment, start):
    def drip(connection):
        connection.sendall(start)
        for _ in range(60):
            connection.sendall(b'1')
            time.sleep(0.05)

    with RawServer(drip) as url:
        before = time.monotonic()
        with pytest.raises(ChatError, match=r'no answer within|no response|Connection'):
            OpenAIChat('small', url, timeout=0.3)([ASK])
        assert time.monotonic() - before < 1


@pytest.mark.parametrize('head', [HEAD, ERROR])
@pytest.mark.parametrize('packed', [False, True])
def test_a_response_without_an_end(environment, head, packed):
    zeros = zlib.compressobj(9, wbits=31)
    block = zeros.compress(bytes(30_000_000)) + zeros.flush()
    block = block if packed else b' ' * 1_000_000
    head += b'Content-Encoding: gzip\r\n' if packed else b''
    sent = []

    def flood(connection):
        connection.sendall(head + b'\r\n')
        for _ in range(1 if packed else 60):
            connection.sendall(block)
            sent.append(len(block))

    with RawServer(flood) as url:
        with pytest.raises(ChatError, match='longer than 10000000 bytes') as caught:
            OpenAIChat('small', url)([ASK])
    assert caught.value.kind == 'refused' and sum(sent) < 30_000_000


def test_a_compressed_answer(environment):
    body = gzip.compress(json.dumps(completion('x')).encode())
    head = HEAD + f'Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n'.encode()
    with RawServer(lambda connection: connection.sendall(head + b'\r\n' + body)) as url:
        assert OpenAIChat('small', url)([ASK]) == ['x']


@pytest.mark.parametrize(
    ('head', 'reason'),
    [
        (b'Content-Encoding: gzip', 'is damaged'),
        (b'Content-Encoding: br', 'has the unknown encoding br'),
        (b'Content-Length: 9', 'closed'),
    ],
)
def test_a_damaged_answer(environment, head, reason):
    sent = HEAD + head + b'\r\n\r\nabc'
    with RawServer(lambda connection: connection.sendall(sent)) as url:
        with pytest.raises(ChatError, match=reason) as caught:
            OpenAIChat('small', url)([ASK])
    assert caught.value.kind == 'passing'


def test_no_server(server):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        url = f'http://127.0.0.1:{free.getsockname()[1]}/v1'
        with pytest.raises(ChatError) as caught:
            OpenAIChat('small', url)([ASK])
    assert caught.value.kind == 'passing' and url in str(caught.value)


def test_wrong_arguments(monkeypatch):
    with pytest.raises(ValueError, match="'timeout' must be above 0"):
        OpenAIChat('small', timeout=0)
    with pytest.raises(
        ValueError, match="'max_tokens' must be an integer of at least 1"
    ):
        OpenAIChat('small', max_tokens=0)
    with pytest.raises(ValueError, match=r"'options' must hold .* got 'max_tokens'"):
        OpenAIChat('small', options={'max_tokens': 9})
    with pytest.raises(ValueError, match="'base_url' must be an http"):
        OpenAIChat('small', 'localhost:80')
    with pytest.raises(ValueError, match='must not contain user, password'):
        OpenAIChat('small', 'http://me:secret@host/v1')
    monkeypatch.setitem(sys.modules, 'openai', None)
    with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[llm\]'"):
        OpenAIChat('small')
