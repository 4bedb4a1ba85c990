from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
import warnings
from typing import Any

import pytest

pytest.importorskip('fastapi')
pytest.importorskip('safetensors')
pytest.importorskip('pyarrow')

import uvicorn

from pyg_irllrec.serving.http import serve
from pyg_irllrec.serving.http.serve import listen
from tests.serving.bundles import plain_bundle

CODE = """
import sys
from pyg_irllrec.serving.http import serve
serve(sys.argv[1], port=0)
"""
BODY = b'{"users": ["user-001"], "k": 3}'


def post(port: int) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
    connection.request('POST', '/recommend', BODY, {'content-type': 'application/json'})
    answer = connection.getresponse()
    return answer.status, json.load(answer)


@pytest.fixture
def service(tmp_path):
    r"""A service in its own process, and its port."""
    plain_bundle().save(tmp_path)
    command = [sys.executable, '-c', CODE, str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        port = 0
        while not port and (line := process.stderr.readline()):
            found = re.search(r'http://127\.0\.0\.1:(\d+)', line)
            port = int(found[1]) if found else 0
        yield process, port
        process.kill()


def test_a_stopped_service_finishes_requests_in_flight(service):
    process, port = service
    status, answer = post(port)
    assert status == 200 and len(answer['recommendations'][0]['items']) == 3

    # A request that is in flight when the service is stopped.
    begun = socket.create_connection(('127.0.0.1', port), 30)
    head = 'POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: '
    head += f'application/json\r\nContent-Length: {len(BODY)}\r\n\r\n'
    begun.sendall(head.encode() + BODY[:5])
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    for _ in range(200):
        try:
            socket.create_connection(('127.0.0.1', port)).close()
        except ConnectionRefusedError:
            break
        time.sleep(0.02)
    else:
        pytest.fail('new requests are not refused')
    begun.sendall(BODY[5:])
    answer = http.client.HTTPResponse(begun)
    answer.begin()
    assert answer.status == 200
    assert len(json.load(answer)['recommendations'][0]['items']) == 3
    _, rest = process.communicate(timeout=30)
    assert process.returncode == 0 and 'Traceback' not in rest, rest


def test_a_signal_before_the_start_is_not_lost(tmp_path, monkeypatch):
    plain_bundle().save(tmp_path)
    stops = []

    def run(server, sockets):
        signal.raise_signal(signal.SIGTERM)
        stops.append(server.should_exit)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(uvicorn.Server, 'run', run)
    try:
        serve(tmp_path, port=0)
        assert signal.getsignal(signal.SIGTERM) is before
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stops == [True]


def test_answers_do_not_wait_for_acknowledgements():
    with (
        listen('127.0.0.1', 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@pytest.mark.parametrize('port', [-1, 65_536, '8000', 1.5, True, None])
def test_bad_ports(tmp_path, port):
    plain_bundle().save(tmp_path)
    with pytest.raises(ValueError, match="'port' must be an integer"):
        serve(tmp_path, port=port)


def test_bad_addresses(tmp_path):
    plain_bundle().save(tmp_path)
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"'port' {port}"):
            serve(tmp_path, port=port)
    for host in ('no such host', '', 'a' * 300, 'a\0b', '203.0.113.1', None):
        with pytest.raises((OSError, ValueError), match="'host'"):
            serve(tmp_path, host=host, port=0)


def test_warns_that_other_machines_can_reach_it(tmp_path, monkeypatch):
    plain_bundle().save(tmp_path)
    monkeypatch.setattr('uvicorn.Server.run', lambda self, sockets: None)
    with pytest.warns(UserWarning, match='no authentication'):
        serve(tmp_path, host='0.0.0.0', port=0)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        serve(tmp_path, port=0)
