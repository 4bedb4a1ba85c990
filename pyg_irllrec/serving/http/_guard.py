from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection
from typing import Optional

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pyg_irllrec.serving.http._metrics import Metrics

MAX_BODY = 1_000_000
SECURITY_HEADERS = (
    (
        b'content-security-policy',
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b'x-content-type-options', b'nosniff'),
    (b'referrer-policy', b'no-referrer'),
    (b'cross-origin-resource-policy', b'same-origin'),
    (b'cross-origin-opener-policy', b'same-origin'),
    (b'cache-control', b'no-store'),
)


class Refused(Exception):
    r"""A request is rejected before it reaches the application.

    Args:
        status (int): The HTTP status of the response.
        message (str): The error message.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Guard:
    r"""Middleware to check host names and body sizes, to add security headers and to
    count requests.

    Args:
        app (callable): The application.
        metrics (Metrics): Counts the requests.
        paths (collection of str): The paths to count by name. All others are counted
            as :obj:`"other"`.
        hosts (collection of str, optional): The allowed host names, or :obj:`None` for
            any.
        timeout (float): The number of seconds within which a body must arrive.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        paths: Collection[str],
        hosts: Optional[Collection[str]],
        timeout: float,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = frozenset(paths)
        self._hosts = hosts
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] != 'http':
            # There is no WebSocket route: the application closes it.
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500
        head = scope['method'] == 'HEAD'
        if head:  # Answered as GET, without the body.
            scope = {**scope, 'method': 'GET'}

        async def answer(message: Message) -> None:
            nonlocal status
            if message['type'] == 'http.response.start':
                status = message['status']
                message['headers'] = [*message['headers'], *SECURITY_HEADERS]
            elif head:
                message['body'] = b''
            await send(message)

        try:
            try:
                body = await self._read(scope, receive)
            except Refused as error:
                await refuse(answer, error)
                return
            await self._app(scope, replay(body, receive), answer)
        finally:
            path = scope['path'] if scope['path'] in self._paths else 'other'
            self._metrics.count(path, status, time.perf_counter() - start)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        r"""Check a request and read its body."""
        headers = Headers(scope=scope)
        host = host_name(headers.get('host', ''))
        if self._hosts is not None and host not in self._hosts:
            raise Refused(
                421,
                f'the host name must be one of {", ".join(self._hosts)}, got '
                f'{host[:100]!r}',
            )
        length = headers.get('content-length', '0')
        if not (length.isdecimal() and int(length[:20]) <= MAX_BODY):
            raise too_large()
        if scope['method'] != 'POST':
            return b''
        kind = headers.get('content-type', '').partition(';')[0].strip().lower()
        if kind != 'application/json':
            raise Refused(
                415,
                "the body must be JSON, with the header 'Content-Type: "
                "application/json'",
            )
        try:
            return await asyncio.wait_for(read_body(receive), self._timeout)
        except asyncio.TimeoutError:
            raise Refused(
                408, 'the body of the request did not arrive in time'
            ) from None


async def read_body(receive: Receive) -> bytes:
    r"""Read a body of bounded size."""
    body, more = b'', True
    while more:
        message = await receive()
        if message['type'] == 'http.disconnect':
            raise Refused(400, 'the client has disconnected')
        body += message.get('body', b'')
        more = message.get('more_body', False)
        if len(body) > MAX_BODY:
            raise too_large()
    return body


def replay(body: bytes, receive: Receive) -> Receive:
    r"""Return a receive function that delivers a body that was read before."""
    read = False

    async def again() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {'type': 'http.request', 'body': body, 'more_body': False}

    return again


async def refuse(send: Send, error: Refused) -> None:
    r"""Respond with an error."""
    body = json.dumps({'error': str(error)}).encode()
    headers = [
        (b'content-type', b'application/json'),
        (b'content-length', str(len(body)).encode()),
        # The unread rest of a body must not be parsed as the next request.
        (b'connection', b'close'),
    ]
    await send(
        {'type': 'http.response.start', 'status': error.status, 'headers': headers}
    )
    await send({'type': 'http.response.body', 'body': body})


def too_large() -> Refused:
    return Refused(413, f'the body must have at most {MAX_BODY} bytes')


def host_name(host: str) -> str:
    r"""The name in a Host header, without the port; an IPv6 address keeps its
    brackets."""
    if host.startswith('['):
        return host.partition(']')[0].lower() + ']'
    return host.partition(':')[0].lower()
