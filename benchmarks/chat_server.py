"""A local chat completions endpoint with scripted answers, for tests and benchmarks.

    python -m benchmarks.chat_server '{"latency": 0.05}'

The JSON has the arguments of ChatServer. Prints the address of the server, and serves
until standard input ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pyg_irllrec.text.intents.prompt import read_evidence

BROKEN = '{"intents": [{"name": "half'


def question(request: dict[str, Any]) -> str:
    """A hash of a node's question, which is the same when an answer is repaired."""
    content = request['messages'][1]['content']
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def good(request: dict[str, Any]) -> str:
    """A valid answer, which depends only on the question."""
    count = len(read_evidence(request['messages'][1]['content']))
    name = question(request)
    intent = {'name': name, 'reason': f'{count} texts say so', 'evidence': [1, count]}
    return json.dumps({'steps': ['likes it'], 'intents': [intent]})


def completion(content: object) -> dict[str, Any]:
    choice = {'index': 0, 'message': {'role': 'assistant', 'content': content}}
    usage = {'prompt_tokens': 100, 'completion_tokens': 20}
    return {'object': 'chat.completion', 'choices': [choice], 'usage': usage}


class ChatServer:
    """A server that uses the entries of :obj:`script` first, then valid answers.

    An entry of :obj:`script` is a function of the request that returns the content of
    an answer, or a tuple of status, headers and body. Other requests fail, get broken
    JSON or hang at random, with the probabilities :obj:`failing`, :obj:`broken` and
    :obj:`hanging`.
    """

    def __init__(
        self,
        latency: float = 0.0,
        failing: float = 0.0,
        broken: float = 0.0,
        hanging: float = 0.0,
        hang: float = 30.0,
        seed: int = 0,
    ) -> None:
        self.latency = latency
        self.shares = (failing, broken, hanging)
        self.hang = hang
        self.script: list[Callable[[dict[str, Any]], Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.authorizations: list[str] = []
        self.answered: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._connections: set[socket.socket] = set()

    def reply(self, request: dict[str, Any], authorization: str) -> Any:
        with self._lock:
            self.requests.append(request)
            self.times.append(time.monotonic())
            self.authorizations.append(authorization)
            entry = self.script.pop(0) if self.script else None
            chance = self._random.random()
        if entry is not None:
            return entry(request)
        failing, broken, hanging = self.shares
        if self.latency:
            time.sleep(self.latency)
        if chance < failing:
            status, after = ((500, {}), (429, {'Retry-After': '0.02'}))[
                chance < failing / 2
            ]
            return status, after, {'error': {'message': 'not now'}}
        if chance < failing + broken:
            return BROKEN
        if chance < failing + broken + hanging:
            self._over.wait(self.hang)
            return 503, {}, {'error': {'message': 'late'}}
        self.answered.append(question(request))
        return good(request)

    def __enter__(self) -> ChatServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            disable_nagle_algorithm = True
            wbufsize = -1

            def setup(self) -> None:
                super().setup()
                outer._connections.add(self.connection)

            def finish(self) -> None:
                outer._connections.discard(self.connection)
                super().finish()

            def do_POST(self) -> None:
                assert self.path == '/v1/chat/completions'
                size = int(self.headers['Content-Length'])
                request = json.loads(self.rfile.read(size))
                with outer._lock:
                    outer._at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer._at_once)
                try:
                    reply = outer.reply(request, self.headers['Authorization'])
                finally:
                    with outer._lock:
                        outer._at_once -= 1
                whole = isinstance(reply, tuple)
                status, headers, body = reply if whole else (200, {}, completion(reply))
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header('Content-Type', 'application/json')
                    self.send_header('Content-Length', str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                    self.wfile.flush()
                except OSError:  # The client is gone.
                    self.close_connection = True

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: Any) -> None:
                pass  # The client was killed.

        self._server: socketserver.BaseServer = Server(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_address[1]}/v1'
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in list(self._connections):  # Some are kept alive.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


if __name__ == '__main__':
    with ChatServer(**json.loads(sys.argv[1])) as server:
        print(server.url, flush=True)
        sys.stdin.read()
