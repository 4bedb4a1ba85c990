from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Optional

from pyg_irllrec.text._api_key import ApiKey
from pyg_irllrec.text._call_limits import CallLimits, ResponseTooLong
from pyg_irllrec.text._to_single_line import to_single_line

_PASSING_STATUS = (408, 409, 425, 429)
_FINAL_STATUS = (401, 402, 403, 404)
_STATUS_OF_CODE = {
    'rate_limit_exceeded': 429,
    'rate_limit_error': 429,
    'server_error': 500,
    'api_error': 500,
    'internal_error': 500,
    'internal_server_error': 500,
    'overloaded_error': 503,
    'overloaded': 503,
    'timeout': 504,
    'invalid_api_key': 401,
    'authentication_error': 401,
    'insufficient_quota': 402,
    'permission_error': 403,
    'model_not_found': 404,
}
_MAX_SHOWN = 300
_NOT_SHOWN = re.compile(r'<(style|script)\b.*?</\1>|<[^>]*>', re.DOTALL | re.IGNORECASE)


class EndpointError(Exception):
    r"""A call failed.

    Args:
        reason (str): The reason, in one line without the key.
        kind (str): As in :class:`~pyg_irllrec.text.ChatError`.
        retry_after (float, optional): The seconds that the server asks to wait.
            (default: :obj:`None`)
        status (int, optional): The HTTP status. (default: :obj:`None`, no answer)
    """

    def __init__(
        self,
        reason: str,
        kind: str,
        retry_after: Optional[float] = None,
        status: Optional[int] = None,
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.retry_after = retry_after
        self.status = status


class Endpoint:
    r"""An endpoint with OpenAI's API, by the :obj:`openai` client. It does not retry,
    follows no redirect, and holds each call to one deadline and one size. Threads may
    share it.

    Args:
        base_url (str): Its address.
        key (ApiKey): The key.
        timeout (float): The largest number of seconds per call.
        max_bytes (int): The largest number of bytes per response.
    """

    def __init__(
        self, base_url: str, key: ApiKey, timeout: float, max_bytes: int
    ) -> None:
        self._base_url = base_url
        self._key = key
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._client: Any = None
        self._limits = CallLimits(timeout, max_bytes)

    def call(self, send: Callable[[Any], Any]) -> dict[str, Any]:
        r"""The JSON object that an endpoint answers.

        Args:
            send (callable): Sends a request by a client, and returns the raw response.

        Raises:
            EndpointError: If the call fails, for any reason.
            ValueError: If there is no key.
        """
        client = self._get_client()
        found: Any = None
        status = None
        try:
            body = send(client).http_response.content
            found = _read_object(self._limits.unpack(body))
        except Exception as error:
            reason, kind, retry_after = self._explain(error)
            status = getattr(error, 'status_code', None)
        else:
            if not (failure := _find_error(found)):
                return found  # type: ignore[no-any-return]
            reason, kind, retry_after = *failure, None
        # Not raised above, because the error of the client holds the request, and the
        # request the key, which some endpoints even repeat in their response.
        raise EndpointError(self.show(reason), kind, retry_after, status)

    def redact(self, text: str) -> str:
        r"""The text without the key."""
        return self._key.redact(text, self._get_client().api_key)

    def show(self, text: str) -> str:
        r"""One line without the key, cut to a length that can be shown."""
        return to_single_line(self.redact(text)[: 10 * _MAX_SHOWN])[:_MAX_SHOWN]

    def _explain(self, error: Exception) -> tuple[str, str, Optional[float]]:
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        if isinstance(error, APIStatusError):
            response = error.response
            status = error.status_code
            content, body = _read_error(response.content, self._limits)
            words = _server_words(body) or _show(content)
            if 300 <= status < 400:
                to = response.headers.get('location', 'nowhere')
                words = f"redirects to {to}: give that address as 'base_url'"
            kind = _error_kind(status, _error_code(body))
            return f'{status}, {words}', kind, read_retry_after(response.headers)
        if isinstance(error, (APITimeoutError, TimeoutError)):
            return f'no answer within {self._timeout:g} seconds', 'passing', None
        if isinstance(error, APIConnectionError) and error.__cause__:
            return f'{error} ({error.__cause__})', 'passing', None
        if isinstance(error, UnicodeEncodeError):
            return f'half a character cannot be sent: {error.reason}', 'refused', None
        if isinstance(error, ResponseTooLong):
            return str(error), 'refused', None
        if isinstance(error, ValueError):
            return str(error), 'passing', None
        # Such as a connection that broke during the response.
        broken = type(error).__module__.startswith(('httpx', 'httpcore', 'openai'))
        kind = 'passing' if broken or isinstance(error, OSError) else 'refused'
        return f'{type(error).__name__}: {error}', kind, None

    def _get_client(self) -> Any:
        r"""The client, one for all threads."""
        with self._lock:
            if self._client is None:
                from openai import DefaultHttpxClient, OpenAI

                key = self._key.get()
                http_client = DefaultHttpxClient(
                    timeout=self._timeout, follow_redirects=False
                )
                self._limits.guard(http_client)
                self._client = OpenAI(
                    api_key=key,
                    base_url=self._base_url,
                    timeout=self._timeout,
                    max_retries=0,
                    default_headers={'Accept-Encoding': 'identity'},
                    http_client=http_client,
                )
            return self._client

    def close(self) -> None:
        r"""Closes the connections. The next call reads the key again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def __getstate__(self) -> dict[str, Any]:
        # The client holds the key.
        return {**vars(self), '_client': None, '_lock': None, '_limits': None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        self._limits = CallLimits(self._timeout, self._max_bytes)


def read_retry_after(headers: Mapping[str, str]) -> Optional[float]:
    r"""The seconds that the server asks to wait, in any form of the header."""
    text = headers.get('retry-after', '')
    try:
        if 'retry-after-ms' in headers:
            seconds = float(headers['retry-after-ms']) / 1000
        elif text.replace('.', '', 1).isdigit():
            seconds = float(text)
        elif text:
            then = parsedate_to_datetime(text)
            if then.tzinfo is None:  # An HTTP date is in GMT.
                then = then.replace(tzinfo=timezone.utc)
            seconds = (then - datetime.now(timezone.utc)).total_seconds()
        else:
            return None
    except (TypeError, ValueError, OverflowError):  # Neither a number nor a date.
        return None
    return max(0.0, seconds) if seconds < float('inf') else None


def _read_error(content: bytes, limits: CallLimits) -> tuple[bytes, Any]:
    r"""The body of an error, and what it holds if it is JSON."""
    try:
        content = limits.unpack(content)
    except ValueError as error:
        return content, str(error)
    try:
        return content, json.loads(content)
    except (ValueError, RecursionError):
        return content, None


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f'its response must be a JSON object, got: {_show(body)}')
    return found


def _find_error(found: dict[str, Any]) -> Optional[tuple[str, str]]:
    r"""The words and the kind of an error inside a response of status 200."""
    if not found.get('error') and found.get('object') != 'error':
        return None
    words = _server_words(found) or json.dumps(found)[:_MAX_SHOWN]
    code = _error_code(found)
    status = _status(code)
    shown = '' if code is None else f'{to_single_line(str(code))[:40]}, '
    return shown + words, 'refused' if status is None else _error_kind(status, code)


def _server_words(body: Any) -> str:
    r"""What the server gave as the reason."""
    error = body.get('error', body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        named = (error.get(name) for name in ('message', 'detail', 'reason'))
        error = next((each for each in named if each), json.dumps(error))
    if isinstance(error, (dict, list)):
        error = json.dumps(error)
    return _plain(error) if isinstance(error, str) else ''


def _error_code(body: Any) -> Any:
    error = body.get('error', body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        error = body if isinstance(body, dict) else {}
    codes = [error.get(name) for name in ('code', 'status', 'status_code', 'type')]
    known = [code for code in codes if _status(code) is not None]
    return known[0] if known else None


def _status(code: Any) -> Optional[int]:
    r"""The HTTP status that a code stands for, if it stands for one."""
    if isinstance(code, str):
        if code.lower() in _STATUS_OF_CODE:
            return _STATUS_OF_CODE[code.lower()]
        code = int(code) if len(code) == 3 and code.isascii() and code.isdigit() else 0
    if isinstance(code, bool) or not isinstance(code, int):
        return None
    return code if 400 <= code < 600 else None


def _error_kind(status: int, code: Any) -> str:
    if status in _FINAL_STATUS or code == 'insufficient_quota' or status < 400:
        return 'final'
    return 'passing' if status in _PASSING_STATUS or status >= 500 else 'refused'


def _show(body: bytes) -> str:
    r"""The beginning of a response, without the marks of HTML."""
    if not body.strip():
        return f'{len(body)} bytes'
    return _plain(body[: 20 * _MAX_SHOWN].decode('utf-8', 'replace'))


def _plain(text: str) -> str:
    text = text[: 20 * _MAX_SHOWN]
    if text.lstrip().startswith('<'):
        return to_single_line(_NOT_SHOWN.sub(' ', text)) or to_single_line(text)
    return to_single_line(text)
