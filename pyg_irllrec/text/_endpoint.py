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
# Not 403 and 404: a single text can cause them (moderation, firewalls, routers).
_FINAL_STATUS = (401, 402)
_FINAL_CODES = ('insufficient_quota', 'model_not_found', 'invalid_api_key')
# Error codes in words (OpenAI, Anthropic, Google, Mistral, Amazon and others), without
# the separators between words.
_STATUS_OF_CODE = (
    (401, r'invalidapikey|authentication|unauthenticated|unauthori[sz]ed'),
    (402, 'insufficientquota|insufficientbalance|paymentrequired'),
    (403, 'permission|forbidden'),
    (404, 'notfound'),
    (429, 'ratelimit|toomanyrequest|resourceexhausted|throttl'),
    (503, 'overload|unavailable'),
    (504, 'timeout|timedout|deadlineexceeded'),
    (500, '^(internal|server|api)(server)?(error)?$'),
)
_BUSY = re.compile(r'overloaded|rate.?limit|too many requests', re.IGNORECASE)
_WORDS = ('message', 'msg', 'detail', 'reason', 'status_msg', 'error_description')
_CODES = ('code', 'status', 'status_code', 'type')
_MAX_SHOWN = 300
_MAX_DIGITS = 40
_NOT_SHOWN = re.compile(r'<(style|script)\b.*?</\1>|<[^>]*>', re.DOTALL | re.IGNORECASE)


class EndpointError(Exception):
    r"""A call to an endpoint failed.

    Args:
        reason (str): The reason, in one line without the key.
        kind (str): The kind, as in :class:`~pyg_irllrec.text.ChatError`.
        retry_after (float, optional): The number of seconds to wait, as requested by
            the server. (default: :obj:`None`)
        status (int, optional): The HTTP status. (default: :obj:`None`, no response)
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
    r"""An endpoint with OpenAI's API, called through the :obj:`openai` client. It does
    not retry, does not follow redirects, and gives each call one deadline and one size
    limit. Threads may share it.

    Args:
        base_url (str): The URL of the endpoint.
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
        r"""Send a request and return the JSON object of the response.

        Args:
            send (callable): Sends a request with a client and returns the raw response.

        Raises:
            EndpointError: If the call fails, for any reason.
            ValueError: If there is no key.
        """
        client = self._get_client()
        found: Any = None
        status = None
        try:
            body = send(client).http_response.content
            found = _read_object(self._limits.decompress(body))
        except Exception as error:
            reason, kind, retry_after = self._explain(error)
            status = getattr(error, 'status_code', None)
        else:
            if not (failure := find_error(found)):
                return found  # type: ignore[no-any-return]
            reason, kind, retry_after = *failure, None
        # Not raised above, because the client's error holds the request with the key.
        # Some endpoints even repeat the key in their response.
        raise EndpointError(self.show(reason), kind, retry_after, status)

    def redact(self, text: str) -> str:
        r"""Replace the key in a text. Without a key, the text stays unchanged."""
        try:
            client = self._get_client()
        except ValueError:
            return text
        return self._key.redact(text, client.api_key)

    def show(self, text: str) -> str:
        r"""Return a text as one short line without the key."""
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
                words = f"redirects to {to}: pass that URL as 'base_url'"
            kind = _error_kind(status, _error_code(body))
            return f'{status}, {words}', kind, read_retry_after(response.headers)
        if isinstance(error, (APITimeoutError, TimeoutError)):
            return f'no answer within {self._timeout:g} seconds', 'passing', None
        if isinstance(error, APIConnectionError) and error.__cause__:
            return f'{error} ({error.__cause__})', 'passing', None
        if isinstance(error, UnicodeEncodeError):
            reason = f'a text with a lone surrogate cannot be sent: {error.reason}'
            return reason, 'refused', None
        if isinstance(error, ResponseTooLong):
            return str(error), 'refused', None
        if isinstance(error, ValueError):
            return str(error), 'passing', None
        # For example, the connection broke during the response.
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
        r"""Close the connections. The next call reads the key again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def __getstate__(self) -> dict[str, Any]:
        # Without the client, which holds the key.
        return {**vars(self), '_client': None, '_lock': None, '_limits': None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        self._limits = CallLimits(self._timeout, self._max_bytes)


def read_retry_after(headers: Mapping[str, str]) -> Optional[float]:
    r"""Return the number of seconds to wait from the response headers, or
    :obj:`None`."""
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
    r"""Return the decompressed body of an error and its JSON value, if it has one."""
    try:
        content = limits.decompress(content)
    except ValueError as error:
        return content, str(error)
    try:
        return content, json.loads(content)
    except (ValueError, RecursionError):
        return content, None


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body, parse_int=_parse_int)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list) and found and _is_error(found[0]):  # Google's form.
        found = found[0]
    if not isinstance(found, dict):
        raise ValueError(f'the response must be a JSON object, got: {_show(body)}')
    return found


def _parse_int(digits: str) -> Any:
    # int() rejects thousands of digits, and an absurd count must not lose the answer.
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def find_error(found: dict[str, Any]) -> Optional[tuple[str, str]]:
    r"""Return the reason and the kind of an error in a response with status 200, or
    :obj:`None` if there is no error."""
    if not _is_error(found):
        return None
    words = _server_words(found) or json.dumps(found)[:_MAX_SHOWN]
    code = _error_code(found)
    status = _status(code)
    shown = '' if code is None else f'{to_single_line(str(code))[:40]}, '
    if status is None:
        return words, 'passing' if _BUSY.search(words) else 'refused'
    return shown + words, _error_kind(status, code)


def _is_error(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    if found.get('error') or found.get('errors') or found.get('object') == 'error':
        return True
    if found.get('choices') or found.get('data'):
        return False
    return any(found.get(name) for name in ('base_resp', 'code', *_WORDS))


def _error_part(body: Any) -> Any:
    r"""Return the part of a response that describes the error."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return body
    error = body.get('error') or body.get('errors') or body.get('base_resp') or body
    return error[0] if isinstance(error, list) and error else error


def _server_words(body: Any) -> str:
    r"""Return the reason that the server gave."""
    error = _error_part(body)
    more = None
    if isinstance(error, dict):
        more = error.get('metadata')  # OpenRouter: the provider's response.
        named = (error.get(name) for name in _WORDS)
        error = next((each for each in named if each), json.dumps(error))
    if isinstance(error, (dict, list)):
        error = json.dumps(error)
    words = _plain(error) if isinstance(error, str) else ''
    raw = more.get('raw') if isinstance(more, dict) else None
    return f'{words} ({_plain(raw)})' if isinstance(raw, str) and raw else words


def _error_code(body: Any) -> Any:
    error = _error_part(body)
    if not isinstance(error, dict):
        error = body if isinstance(body, dict) else {}
    codes = [error.get(name) for name in _CODES]
    final = [code for code in codes if code in _FINAL_CODES]
    known = [code for code in codes if _status(code) is not None]
    return next(iter(final + known), None)


def _status(code: Any) -> Optional[int]:
    r"""Return the HTTP status of an error code, or :obj:`None`."""
    if isinstance(code, str):
        if len(code) == 3 and code.isascii() and code.isdigit():
            code = int(code)
        else:
            words = re.sub(r'[\W_]', '', code[:80]).lower()
            found = (s for s, pattern in _STATUS_OF_CODE if re.search(pattern, words))
            return next(found, None)
    if isinstance(code, bool) or not isinstance(code, int):
        return None
    return code if 400 <= code < 600 else None


def _error_kind(status: int, code: Any) -> str:
    if status in _FINAL_STATUS or code in _FINAL_CODES or status < 400:
        return 'final'
    return 'passing' if status in _PASSING_STATUS or status >= 500 else 'refused'


def _show(body: bytes) -> str:
    r"""Return the beginning of a response without HTML tags."""
    if not body.strip():
        return f'{len(body)} bytes'
    return _plain(body[: 20 * _MAX_SHOWN].decode('utf-8', 'replace'))


def _plain(text: str) -> str:
    text = text[: 20 * _MAX_SHOWN]
    if text.lstrip().startswith('<'):
        return to_single_line(_NOT_SHOWN.sub(' ', text)) or to_single_line(text)
    return to_single_line(text)
