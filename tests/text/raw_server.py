"""A server on this machine that sends any bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class RawServer:
    """Read one request per connection, then call a function that sends the answer."""

    def __init__(self, send: Callable[[socket.socket], object]) -> None:
        self._send = send

    def __enter__(self) -> str:
        self._socket = socket.create_server(('127.0.0.1', 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return f'http://127.0.0.1:{self._socket.getsockname()[1]}/v1'

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(
                    target=self._answer, args=(connection,), daemon=True
                ).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            received = b''
            while b'\r\n\r\n' not in received:
                received += connection.recv(1 << 16)
            head, _, body = received.partition(b'\r\n\r\n')
            size = int(head.lower().partition(b'content-length:')[2].split()[0])
            while len(body) < size:
                body += connection.recv(1 << 16)
            self._send(connection)

    def __exit__(self, *error: object) -> None:
        self._socket.close()
