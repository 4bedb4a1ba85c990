"""A local embeddings endpoint with scripted answers."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WIDTH = 4


def vector(text: str, width: int = WIDTH) -> list[float]:
    return [byte / 256 for byte in hashlib.sha256(text.encode()).digest()[:width]]


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The answer of a working server, with the last embedding first."""
    width = request.get('dimensions', WIDTH)
    data = [
        {'object': 'embedding', 'index': row, 'embedding': vector(text, width)}
        for row, text in enumerate(request['input'])
    ]
    return {'object': 'list', 'model': request['model'], 'data': data[::-1]}


class OpenAIServer:
    """Answer requests from :obj:`script` in turn, then as a working server.

    An entry is a function of the request that returns the answer, or a tuple of
    status, headers and answer.
    """

    def __init__(self) -> None:
        self.script: list[Callable[[dict[str, Any]], Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.authorizations: list[str] = []

    def __enter__(self) -> OpenAIServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self) -> None:
                assert self.path == '/v1/embeddings'
                size = int(self.headers['Content-Length'])
                request = json.loads(self.rfile.read(size))
                outer.requests.append(request)
                outer.authorizations.append(self.headers['Authorization'])
                reply = (outer.script.pop(0) if outer.script else answer)(request)
                status, headers, body = (
                    reply if isinstance(reply, tuple) else (200, {}, reply)
                )
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self._server.daemon_threads = True
        self.url = f'http://127.0.0.1:{self._server.server_port}/v1'
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
