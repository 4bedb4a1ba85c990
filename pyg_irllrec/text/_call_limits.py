from __future__ import annotations

import threading
import time
import zlib
from typing import Any, Optional


class ResponseTooLong(ValueError):
    r"""A response exceeds the size limit."""


class CallLimits(threading.local):
    r"""One deadline and one size limit for a whole call: the connection, the headers,
    the body of the response and its uncompressed content. The timeouts of HTTP clients
    apply to each read, so a slow server could block a thread indefinitely.

    Args:
        timeout (float): The largest number of seconds per call.
        max_bytes (int): The largest number of bytes per response.
    """

    def __init__(self, timeout: float, max_bytes: int) -> None:
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._deadline = float('inf')
        self._left = max_bytes
        self._encoding = 'identity'

    def guard(self, client: Any) -> None:
        r"""Apply the limits to an httpx client. In each thread, they take effect with
        the next request."""
        for transport in (client._transport, *client._mounts.values()):
            pool = getattr(transport, '_pool', None)
            if pool is not None:
                pool._network_backend = _Backend(pool._network_backend, self)
        client.event_hooks = {
            'request': [self._start],
            'response': [self._keep_compressed],
        }

    def seconds_left(self, timeout: Optional[float]) -> Optional[float]:
        r"""Return the timeout of a read, capped by the deadline."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if left == float('inf'):
            return timeout
        return left if timeout is None else min(timeout, left)

    def take(self, num_bytes: int) -> None:
        r"""Count received bytes."""
        self._left -= num_bytes
        if self._left < 0:
            raise ResponseTooLong(
                f'the response is longer than {self._max_bytes} bytes'
            )

    def decompress(self, body: bytes) -> bytes:
        r"""Decompress the body of the last response. Some servers compress responses
        unasked."""
        encoding = self._encoding.strip().lower()
        if encoding in ('identity', ''):
            return body
        if encoding not in ('gzip', 'x-gzip', 'deflate'):
            raise ValueError(f'the response has the unknown encoding {encoding[:40]}')
        decompressor = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            content = decompressor.decompress(body, self._max_bytes + 1)
        except zlib.error as error:
            raise ValueError(f'the response is damaged: {error}') from None
        if len(content) > self._max_bytes:
            raise ResponseTooLong(
                f'the response is longer than {self._max_bytes} bytes'
            )
        return content

    def _start(self, request: Any) -> None:
        self._deadline = time.monotonic() + self._timeout
        self._left = self._max_bytes
        self._encoding = 'identity'

    def _keep_compressed(self, response: Any) -> None:
        # The client itself would decompress without a size limit.
        self._encoding = response.headers.pop('content-encoding', 'identity')


class _Backend:
    r"""A network backend that opens connections with limits."""

    def __init__(self, inner: Any, limits: CallLimits) -> None:
        self._inner = inner
        self._limits = limits

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: Optional[float] = None,
        local_address: Optional[str] = None,
        socket_options: Any = None,
    ) -> _Stream:
        stream = self._inner.connect_tcp(
            host,
            port,
            self._limits.seconds_left(timeout),
            local_address,
            socket_options,
        )
        return _Stream(stream, self._limits)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream:
    r"""A connection with limits."""

    def __init__(self, inner: Any, limits: CallLimits) -> None:
        self._inner = inner
        self._limits = limits

    def read(self, max_bytes: int, timeout: Optional[float] = None) -> bytes:
        data: bytes = self._inner.read(max_bytes, self._limits.seconds_left(timeout))
        self._limits.take(len(data))
        return data

    def write(self, buffer: bytes, timeout: Optional[float] = None) -> None:
        self._inner.write(buffer, self._limits.seconds_left(timeout))

    def start_tls(
        self,
        ssl_context: Any,
        server_hostname: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> _Stream:
        left = self._limits.seconds_left(timeout)
        stream = self._inner.start_tls(ssl_context, server_hostname, left)
        return _Stream(stream, self._limits)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
