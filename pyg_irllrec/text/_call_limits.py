from __future__ import annotations

import threading
import time
import zlib
from typing import Any, Optional


class ResponseTooLong(ValueError):
    r"""A response is longer than the limit."""


class CallLimits(threading.local):
    r"""One deadline and one size for all parts of a call: connecting, headers, the body
    of an answer or of an error, and what it is unpacked to. The timeouts of HTTP
    clients apply per read, so that a slow server could hold a thread indefinitely.

    Args:
        timeout (float): The seconds per call.
        max_bytes (int): The bytes per response.
    """

    def __init__(self, timeout: float, max_bytes: int) -> None:
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._deadline = float('inf')
        self._left = max_bytes
        self._packing = 'identity'

    def guard(self, client: Any) -> None:
        r"""Put the limits on a client of httpx, in each thread from its next request
        on."""
        for transport in (client._transport, *client._mounts.values()):
            pool = getattr(transport, '_pool', None)
            if pool is not None:
                pool._network_backend = _Backend(pool._network_backend, self)
        client.event_hooks = {
            'request': [self._start],
            'response': [self._keep_packed],
        }

    def seconds_left(self, timeout: Optional[float]) -> Optional[float]:
        r"""The timeout of a read, within the deadline."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if left == float('inf'):
            return timeout
        return left if timeout is None else min(timeout, left)

    def take(self, num_bytes: int) -> None:
        r"""Counts what was received."""
        self._left -= num_bytes
        if self._left < 0:
            raise ResponseTooLong(
                f'its response is longer than {self._max_bytes} bytes'
            )

    def unpack(self, body: bytes) -> bytes:
        r"""The body of the last response. Some servers compress although nobody asked
        for it."""
        packing = self._packing.strip().lower()
        if packing in ('identity', ''):
            return body
        if packing not in ('gzip', 'x-gzip', 'deflate'):
            raise ValueError(f'its response is compressed by {packing[:40]}')
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        try:
            unpacked = unpacker.decompress(body, self._max_bytes + 1)
        except zlib.error as error:
            raise ValueError(f'its response is damaged: {error}') from None
        if len(unpacked) > self._max_bytes:
            raise ResponseTooLong(
                f'its response is longer than {self._max_bytes} bytes'
            )
        return unpacked

    def _start(self, request: Any) -> None:
        self._deadline = time.monotonic() + self._timeout
        self._left = self._max_bytes
        self._packing = 'identity'

    def _keep_packed(self, response: Any) -> None:
        # The client would unpack it to any size.
        self._packing = response.headers.pop('content-encoding', 'identity')


class _Backend:
    r"""Open connections with limits."""

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
