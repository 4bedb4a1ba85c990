from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest

pytest.importorskip('fastapi')
pytest.importorskip('httpx')

from fastapi.testclient import TestClient

from pyg_irllrec.serving._ranking_dicts import ranking_dicts
from pyg_irllrec.serving.http import create_app, schemas
from pyg_irllrec.serving.http.service import UnknownId
from tests.serving.bundles import NUM_ITEMS, plain_bundle

LOCAL = 'http://localhost'
USER, ITEM = 'user-001', 'book 3'
TEXT = 'Enjoys the rucksack, the boots and the tent'


@pytest.fixture(scope='module')
def client() -> Iterator[TestClient]:
    with TestClient(create_app(plain_bundle()), LOCAL) as client:
        yield client


def own_client(**options) -> TestClient:
    app = create_app(plain_bundle(), **options)
    return TestClient(app, LOCAL, raise_server_exceptions=False)


def ok(client: TestClient, path: str, body: dict, schema: type) -> dict:
    r"""Post a request and check the response against the OpenAPI schema."""
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    schema.model_validate(answer.json())
    return answer.json()


def test_recommends_as_the_bundle_does(client):
    body = {'users': [USER, 'user-007'], 'k': 4}
    answer = ok(client, '/recommend', body, schemas.RecommendResponse)
    best = plain_bundle().recommend([USER, 'user-007'], 4)
    for found, (user, items) in zip(answer['recommendations'], best):
        assert found['user'] == user
        for rank, (each, item) in enumerate(zip(found['items'], items), start=1):
            place = (rank, item.item, item.title)
            assert (each['rank'], each['item'], each['title']) == place
            assert each['score'] == pytest.approx(item.score, abs=1e-5)


def test_options_reach_the_bundle(client):
    among = [f'book {row}' for row in range(10)]
    body = {'users': [USER], 'among': among, 'exclude': among[:8], 'seen': True}
    answer = ok(client, '/recommend', body, schemas.RecommendResponse)
    (one,) = answer['recommendations']
    assert {each['item'] for each in one['items']} == {'book 8', 'book 9'}


@pytest.mark.parametrize(
    'body', [{'items': [ITEM]}, {'text': TEXT}, {'items': [ITEM], 'text': TEXT}]
)
def test_a_new_user(client, body):
    answer = ok(client, '/recommend', body | {'k': 3}, schemas.RecommendResponse)
    (one,) = answer['recommendations']
    assert one['user'] is None and len(one['items']) == 3
    assert ITEM not in [each['item'] for each in one['items']] or 'items' not in body


def test_similar(client):
    body = {'item': ITEM, 'k': 3}
    answer = ok(client, '/similar', body, schemas.SimilarResponse)
    expected = plain_bundle().similar_items(ITEM, 3)
    assert answer['similar'] == ranking_dicts(expected) and answer['item'] == ITEM
    answer = ok(client, '/similar', {'user': USER}, schemas.SimilarResponse)
    found = answer['similar']
    assert len(found) == 10 and found[0]['user'].startswith('user-')
    assert found[9]['rank'] == 10 and answer['user'] == USER


def test_explain(client):
    body = {'user': 'user-005', 'items': ['book 0', 'book 4']}
    answer = ok(client, '/explain', body, schemas.ExplainResponse)
    first, _ = answer['explanations']
    assert first == plain_bundle().explain('user-005', 'book 0').to_dict()
    assert first['similar'][0]['rank'] == 1


def test_steer(client):
    plain = ok(client, '/steer', {'user': USER, 'k': 40}, schemas.SteerResponse)
    name = plain['intents'][-1]['name']
    intents = {name: 1.0}
    body = {'user': USER, 'k': 40, 'intents': intents, 'dial': 3.0}
    steered = ok(client, '/steer', body, schemas.SteerResponse)
    assert steered['items'] != plain['items']
    first, last = steered['items'][0]['effects'], steered['items'][-1]['effects']
    assert list(first) == [name] and first[name] > 1 > -0.5 > last[name]
    assert plain['items'][0]['effects'] == {}
    untouched = ok(client, '/steer', body | {'dial': 0}, schemas.SteerResponse)
    assert untouched == plain
    (_, expected), *_ = plain_bundle().recommend([USER], 40, intents=intents, dial=3.0)
    assert [each['item'] for each in steered['items']] == [e.item for e in expected]


def test_search_and_health(client):
    found = client.get('/users', params={'query': 'USER-01'}).json()['found']
    assert [each['user'] for each in found] == [f'user-01{row}' for row in range(10)]
    found = client.get('/items', params={'query': 'of book 12'}).json()['found']
    assert found == [{'item': 'book 12', 'title': 'The Story of Book 12'}]
    assert client.get('/items', params={'query': '?'}).json()['found'] == []
    health = client.get('/health').json()
    schemas.HealthResponse.model_validate(health)
    assert health['status'] == 'ok' and health['uptime_seconds'] >= 0


USERS = {'users': [USER]}
INVALID = [
    ('/recommend', {}, "either 'users' or, for"),
    ('/recommend', USERS | {'items': [ITEM]}, "either 'users' or, for"),
    ('/recommend', {'items': []}, "got 'items' without content"),
    ('/recommend', {'items': [], 'text': ' '}, "got 'items' and 'text' without"),
    ('/recommend', {'users': []}, "'users'"),
    ('/recommend', {'users': USER}, "'users'"),
    ('/recommend', {'users': [None]}, "'users.0': must be an integer or"),
    ('/recommend', {'users': [True]}, "'users.0': must be an integer or"),
    ('/recommend', {'users': [1.5]}, "'users.0': must be an integer or"),
    ('/recommend', {'users': [10**30]}, "'users.0': must be an integer or"),
    ('/recommend', {'users': ['']}, "'users.0': must be an integer or"),
    ('/recommend', {'users': ['x'] * 1001}, "'users'"),
    ('/recommend', {'users': ['x'] * 1000, 'k': 101}, 'at most 100000'),
    ('/recommend', USERS | {'k': 0}, "'k'"),
    ('/recommend', USERS | {'k': 1001}, "'k'"),
    ('/recommend', USERS | {'k': '5'}, "'k'"),
    (
        '/recommend',
        USERS | {'intent': {}},
        "unknown field 'intent'. Did you mean 'intents'?",
    ),
    ('/recommend', {'user': USER}, "unknown field 'user'. Did you mean 'users'?"),
    (
        '/similar',
        {'item': ITEM, 'x': 1},
        "unknown field 'x'. The fields are item, user, k",
    ),
    ('/recommend', USERS | {'seen': 'yes'}, "'seen'"),
    ('/recommend', [USERS], 'must be a JSON object'),
    ('/recommend', USERS | {'dial': -1}, "'dial'"),
    ('/recommend', USERS | {'intents': {'a': 1001}}, "'intents.a'"),
    ('/recommend', USERS | {'intents': {'a': 'x'}}, "'intents.a'"),
    ('/recommend', USERS | {'intents': {str(n): 1 for n in range(51)}}, "'intents'"),
    ('/recommend', {'text': 'x' * 10_001}, "'text'"),
    ('/recommend', {'text': 'x', 'seen': True}, "'seen' needs 'users'"),
    ('/similar', {}, "one of 'item' and 'user'"),
    ('/similar', {'item': ITEM, 'user': USER}, "one of 'item' and 'user'"),
    ('/explain', {'user': USER, 'items': []}, "'items'"),
    ('/steer', {'intents': {}}, "'user'"),
]


@pytest.mark.parametrize('path, body, message', INVALID)
def test_invalid_requests(client, path, body, message):
    answer = client.post(path, json=body)
    assert answer.status_code == 422 and list(answer.json()) == ['error']
    assert message in answer.json()['error']


@pytest.mark.parametrize(
    'path, body',
    [
        ('/recommend', {'users': [USER, 'nobody']}),
        ('/recommend', {'users': ['nobody']}),
        ('/recommend', {'items': ['nothing']}),
        ('/recommend', USERS | {'among': ['nothing']}),
        ('/recommend', USERS | {'exclude': ['nothing']}),
        ('/similar', {'item': 'nothing'}),
        ('/similar', {'user': 'nobody'}),
        ('/explain', {'user': 'nobody', 'items': [ITEM]}),
        ('/explain', {'user': USER, 'items': [ITEM, 'nothing']}),
        ('/steer', {'user': 'nobody'}),
    ],
)
def test_unknown_ids(client, path, body):
    answer = client.post(path, json=body)
    assert answer.status_code == 404
    assert "with the id 'no" in answer.json()['error']


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'{',
        b'\xff',
        b'[' * 100_000,
        b'{"users": ["user-001"], "k": NaN}',
        b'{"users": ["user-001"], "dial": NaN}',
        b'{"users": ["user-001"], "dial": Infinity}',
        b'{"users": ["user-001"], "dial": 1e400}',
        b'{"users": ["user-001"], "intents": {"a": NaN}}',
        b'{"users": ["\\ud800"]}',
        b'{"users": ["user-001"], "intents": {"\\ud800": 1}}',
        b'{"users": [' + b'9' * 5000 + b']}',
        b'null',
        b'[]',
        b'"x"',
    ],
)
def test_invalid_bodies(client, content):
    headers = {'content-type': 'application/json'}
    answer = client.post('/recommend', content=content, headers=headers)
    assert answer.status_code in (400, 422), answer.text
    assert list(answer.json()) == ['error']


def test_an_incomplete_body(client):
    headers = {'content-type': 'application/json'}
    answer = client.post('/recommend', content=b'{"users', headers=headers)
    assert answer.status_code == 400 and 'is not JSON' in answer.json()['error']


def test_unknown_words(client):
    body = {'user': USER, 'intents': {'xyzzy plugh': 1.0}}
    answer = client.post('/steer', json=body)
    assert answer.status_code == 400 and 'xyzzy plugh' in answer.json()['error']


def test_other_requests(client):
    form = client.post('/recommend', content='users=1')
    assert form.status_code == 415 and 'Content-Type' in form.json()['error']
    large = client.post('/recommend', json={'text': 'x' * 1_000_001})
    assert large.status_code == 413
    headers = {'content-type': 'application/json'}
    parts = (b'x' * 100_000 for _ in range(11))
    assert client.post('/steer', content=parts, headers=headers).status_code == 413
    for path, method, status in [('/x', 'GET', 404), ('/steer', 'PUT', 405)]:
        answer = client.request(method, path)
        assert answer.status_code == status and list(answer.json()) == ['error']
    for path in ('/', '/health'):
        head = client.head(path)
        assert head.status_code == 200 and head.content == b''
        assert int(head.headers['content-length']) > 100
    for path in ('/docs', '/redoc', '/../app.py', '/page/index.html'):
        assert client.get(path).status_code == 404


def test_other_host_names_are_rejected(client):
    for host in ('evil.example', 'localhost.evil.example', '', '127.0.0.2:80'):
        answer = client.get('/health', headers={'host': host})
        assert answer.status_code == 421 and 'localhost' in answer.json()['error']
    for host in ('localhost:8000', '127.0.0.1', '[::1]:80', 'LOCALHOST'):
        assert client.get('/health', headers={'host': host}).status_code == 200
    with own_client(allowed_hosts=None) as anywhere:
        assert anywhere.get('/health', headers={'host': 'x.example'}).status_code == 200


def test_security_headers_and_no_cors(client):
    headers = {'origin': 'http://evil.example'}
    for path in ('/', '/health', '/nothing'):
        answer = client.get(path, headers=headers)
        assert "default-src 'none'" in answer.headers['content-security-policy']
        assert answer.headers['x-content-type-options'] == 'nosniff'
        assert not [name for name in answer.headers if name.startswith('access-')]


def test_openapi_has_requests_responses_and_errors(client):
    document = client.get('/openapi.json').json()
    for path in ('/recommend', '/similar', '/explain', '/steer'):
        responses = document['paths'][path]['post']['responses']
        assert {'200', '4XX', '503'} <= responses.keys()
    assert 'RecommendRequest' in document['components']['schemas']


def test_metrics_count_requests():
    with own_client() as client:
        client.post('/recommend', json=USERS)
        client.post('/recommend', json={'users': ['nobody']})
        client.get('/a-path-of-their-own')
        text = client.get('/metrics').text
    assert 'requests_total{path="/recommend",status="200"} 1.0' in text
    assert 'requests_total{path="/recommend",status="404"} 1.0' in text
    assert 'requests_total{path="other",status="404"} 1.0' in text
    assert 'request_seconds_count{path="/recommend"} 2.0' in text
    assert 'pyg_irllrec_bundle{version="in memory"} 1.0' in text


def test_a_full_queue_and_a_timeout(monkeypatch):
    free, started = threading.Event(), threading.Event()

    def hang(self, *args, **options):
        started.set()
        free.wait(10)
        raise UnknownId('late')

    with own_client(threads=1, queue_size=1, timeout=0.5) as client:
        monkeypatch.setattr(type(plain_bundle()), 'similar_items', hang)
        late: list = []
        body = {'item': ITEM}
        asks = threading.Thread(
            target=lambda: late.append(client.post('/similar', json=body))
        )
        asks.start()
        assert started.wait(10)
        full = client.post('/similar', json=body)
        assert full.status_code == 503 and full.headers['retry-after'] == '1'
        assert 'too many' in full.json()['error']
        asks.join()
        assert late[0].status_code == 503 and 'too long' in late[0].json()['error']
        # The thread is still busy, so the queue is still full.
        assert client.post('/similar', json=body).status_code == 503
        free.set()
        for _ in range(100):
            if client.post('/recommend', json=USERS).status_code == 200:
                break
            time.sleep(0.01)
        else:
            pytest.fail('the queue was not freed')


def test_a_bug_is_500_without_a_traceback(monkeypatch):
    def fail(self, *args, **options):
        raise KeyError('secret')

    with own_client() as client:
        monkeypatch.setattr(type(plain_bundle()), 'similar_items', fail)
        answer = client.post('/similar', json={'item': ITEM})
    assert answer.status_code == 500 and 'secret' not in answer.text
    assert list(answer.json()) == ['error']


def test_concurrent_requests_for_one_user_each():
    users = [f'user-{row:03}' for row in range(40)] + ['nobody']
    expected = {
        user: [item.item for item in items]
        for user, items in plain_bundle().recommend(users[:-1], 3)
    }
    found: dict = {}

    def ask(user):
        answer = client.post('/recommend', json={'users': [user], 'k': 3})
        if answer.status_code == 200:
            (one,) = answer.json()['recommendations']
            found[user] = [each['item'] for each in one['items']]
        else:
            found[user] = answer.status_code

    with own_client(threads=1) as client:
        asks = [threading.Thread(target=ask, args=(user,)) for user in users]
        for each in asks:
            each.start()
        for each in asks:
            each.join()
    assert found == expected | {'nobody': 404}


@pytest.mark.parametrize(
    'options, message',
    [
        ({'threads': 0}, "'threads'"),
        ({'queue_size': -1}, "'queue_size'"),
        ({'timeout': float('nan')}, "'timeout'"),
        ({'reload_seconds': 0}, "'reload_seconds'"),
        ({'allowed_hosts': 'localhost'}, "'allowed_hosts'"),
        ({'index': 'hnsw'}, "'index'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        create_app(plain_bundle(), **options)


def test_an_index_is_used(monkeypatch):
    pytest.importorskip('faiss')
    used: list[str] = []
    recommend = type(plain_bundle()).recommend

    def record(self, *args, **options):
        used.append(options['index'])
        return recommend(self, *args, **options)

    monkeypatch.setattr(type(plain_bundle()), 'recommend', record)
    with own_client(index='faiss') as client:
        assert client.post('/recommend', json=USERS).status_code == 200
        body = {'users': [USER, 'user-002']}
        assert client.post('/recommend', json=body).status_code == 200
    # The first call warms up, so that no request waits for the index.
    assert used == ['faiss'] * 3


def test_answers_are_strict_json(client):
    answer = client.post('/recommend', json=USERS | {'k': NUM_ITEMS})

    def refuse(constant):
        raise AssertionError(constant)

    json.loads(answer.text, parse_constant=refuse)
