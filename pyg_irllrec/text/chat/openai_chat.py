from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Optional

from pyg_irllrec.text._api_key import ApiKey
from pyg_irllrec.text._base_url import check_base_url
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_model import Conversation
from pyg_irllrec.text.chat.chat_reply import ChatReply
from pyg_irllrec.utils.checks import check_positive
from pyg_irllrec.utils.optional import import_optional

_MAX_RESPONSE_BYTES = 10_000_000
_PASSING_STATUS = (408, 409, 425, 429)
_FINAL_STATUS = (401, 402, 403, 404)


class OpenAIChat:
    r"""A chat model behind an endpoint with OpenAI's chat completions API, which is
    OpenAI's or your own (vLLM, Ollama, llama.cpp, ...). It uses the :obj:`openai`
    client (extra :obj:`llm`) and may be called from many threads. It does not retry:
    :class:`~pyg_irllrec.text.IntentExtractor` does.

    The key is sent to the endpoint and never shown: not in errors, :obj:`repr` or
    :meth:`describe`. A model with an :obj:`api_key` cannot be pickled.

    Args:
        model (str): The name of the model.
        base_url (str): The address of the endpoint, without :obj:`/chat/completions`.
            (default: :obj:`"https://api.openai.com/v1"`)
        api_key (str, optional): The key; an endpoint without keys accepts any.
            (default: :obj:`None`, the environment variable :obj:`OPENAI_API_KEY`, read
            at the first call)
        max_tokens (int, optional): The largest number of tokens of an answer;
            :obj:`None` to send no limit. (default: :obj:`1024`)
        timeout (float): The largest number of seconds per request.
            (default: :obj:`60.0`)
        options (dict, optional): Further fields of the request, on top of
            :obj:`{'temperature': 0, 'response_format': {'type': 'json_object'}}`; a
            value of :obj:`None` removes a field. (default: :obj:`None`)

    Raises:
        ImportError: If the client is not installed.
        ValueError: If an argument is out of range, or there is no key.
        ChatError: If the endpoint cannot be reached, refuses, or takes too long.
    """

    def __init__(
        self,
        model: str,
        base_url: str = 'https://api.openai.com/v1',
        *,
        api_key: Optional[str] = None,
        max_tokens: Optional[int] = 1024,
        timeout: float = 60.0,
        options: Optional[Mapping[str, Any]] = None,
    ) -> None:
        if max_tokens is not None:
            check_positive('max_tokens', max_tokens)
        check_positive('timeout', timeout)
        base_url = check_base_url(base_url)
        options = dict(options or {})
        for name in ('model', 'messages', 'max_tokens'):
            if name in options:
                raise ValueError(
                    f"'options' must hold further fields of a request, got {name!r}, "
                    'which has its own argument'
                )
        key = ApiKey(api_key)
        import_optional('openai', type(self).__name__, 'llm')
        self.model = model
        self.base_url = base_url
        self.max_tokens = max_tokens
        self.timeout = timeout
        request = {
            'temperature': 0,
            'max_tokens': max_tokens,
            'response_format': {'type': 'json_object'},
            **options,
        }
        self.options = {k: v for k, v in request.items() if v is not None}
        self._key = key
        self._lock = threading.Lock()
        self._client: Any = None

    def __call__(self, conversations: Sequence[Conversation]) -> list[ChatReply]:
        r"""Returns one answer per conversation, of one request after the other."""
        return [self._ask(conversation) for conversation in conversations]

    def describe(self) -> dict[str, Any]:
        r"""The model and its options, for a record beside its answers."""
        from openai import __version__

        return {
            'model': self.model,
            'language_model': True,
            'base_url': self.base_url,
            'options': self.options,
            'library': f'openai {__version__}',
        }

    def _ask(self, conversation: Conversation) -> ChatReply:
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        client = self._get_client()
        retry_after = None
        kind = 'passing'
        try:
            return _read_reply(self._request(client, conversation))
        except APIStatusError as error:
            kind = _error_kind(error.status_code, error.code)
            retry_after = _retry_after(error.response.headers)
            reason = f'{error.status_code}, {error.message}'
        except (APITimeoutError, TimeoutError):
            reason = f'no answer within {self.timeout:g} seconds'
        except APIConnectionError as error:
            reason = f'{error} ({error.__cause__})' if error.__cause__ else str(error)
        except ValueError as error:
            reason = str(error)
        except Exception as error:  # The connection broke during the response.
            if not type(error).__module__.startswith(('httpx', 'httpcore')):
                raise
            reason = f'{type(error).__name__}: {error}'
        # Not raised above, because the error of the client holds the request, and the
        # request the key, which some endpoints even repeat in their response.
        reason = reason.replace(client.api_key, '***')[:300]
        raise ChatError(f'{self.base_url}: {reason}', kind, retry_after)

    def _request(self, client: Any, conversation: Conversation) -> bytes:
        deadline = time.monotonic() + self.timeout
        parts: list[bytes] = []
        size = 0
        # The response is read in pieces, because the timeout of the client is one of
        # each piece: a slow server could hold a thread for ever. 'extra_body' skips
        # the checks of the client, which take as long as all the rest.
        body = {**self.options, 'messages': conversation}
        with client.chat.completions.with_streaming_response.create(
            model=self.model, messages=[], extra_body=body
        ) as response:
            for part in response.iter_bytes():
                parts.append(part)
                size += len(part)
                if time.monotonic() > deadline:
                    raise TimeoutError
                if size > _MAX_RESPONSE_BYTES:
                    raise ValueError(f'its response is longer than {size} bytes')
        return b''.join(parts)

    def _get_client(self) -> Any:
        r"""The client, one for all threads."""
        with self._lock:
            if self._client is None:
                from openai import OpenAI

                self._client = OpenAI(
                    api_key=self._key.get(),
                    base_url=self.base_url,
                    timeout=self.timeout,
                    max_retries=0,
                )
            return self._client

    def __getstate__(self) -> dict[str, Any]:
        # The client holds the key.
        return {**vars(self), '_client': None, '_lock': None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.model!r}, base_url={self.base_url!r})'


def _error_kind(status: int, code: Optional[str]) -> str:
    if status in _FINAL_STATUS or code == 'insufficient_quota':
        return 'final'
    return 'passing' if status in _PASSING_STATUS or status >= 500 else 'refused'


def _retry_after(headers: Mapping[str, str]) -> Optional[float]:
    r"""The seconds that the server asks to wait, in any form of the header."""
    text = headers.get('retry-after', '')
    try:
        if 'retry-after-ms' in headers:
            seconds = float(headers['retry-after-ms']) / 1000
        elif text.replace('.', '', 1).isdigit():
            seconds = float(text)
        elif text:
            then = parsedate_to_datetime(text)
            seconds = (then - datetime.now(timezone.utc)).total_seconds()
        else:
            return None
    except (TypeError, ValueError):  # Neither a number nor a date.
        return None
    return max(0.0, seconds) if seconds < float('inf') else None


def _read_reply(body: bytes) -> ChatReply:
    try:
        response = json.loads(body)
        content = response['choices'][0]['message']['content']
        usage = response.get('usage') or {}
        counts = [usage.get('prompt_tokens'), usage.get('completion_tokens')]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f'its response must be a chat completion, got {type(error).__name__} in '
            f'{len(body)} bytes'
        ) from None
    # Models that decline return no content.
    text = content if isinstance(content, str) else ''
    prompt, answer = (n if isinstance(n, int) else None for n in counts)
    return ChatReply(text, prompt, answer)
