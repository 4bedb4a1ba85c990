from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, Optional

from pyg_irllrec.text._endpoint import check_key, check_url
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_model import Conversation
from pyg_irllrec.text.chat.chat_reply import ChatReply
from pyg_irllrec.utils.checks import check_positive

_DEFAULTS = MappingProxyType(
    {
        'temperature': 0,
        'max_tokens': 1024,
        'response_format': {'type': 'json_object'},
    }
)
_LARGEST_ANSWER = 10_000_000  # Bytes: what is longer is no answer.
_PASSING = (408, 409, 425, 429)
_FINAL = (401, 402, 403, 404)


class OpenAIChat:
    r"""A chat model behind an endpoint that speaks OpenAI's chat completions API,
    theirs or your own (vLLM, Ollama, llama.cpp, ...), through the :obj:`openai`
    client (extra :obj:`llm`). Nothing is tried twice here:
    :class:`~pyg_irllrec.text.IntentExtractor` does that. It may be called from many
    threads.

    The key is read from the environment variable :obj:`OPENAI_API_KEY` at the first
    call. It is sent to the endpoint and shown nowhere: not in errors, not by
    :obj:`repr`, not in :meth:`describe`.

    Args:
        model (str): The name of the model.
        base_url (str): Where the endpoint is, without :obj:`/chat/completions`.
            (default: :obj:`"https://api.openai.com/v1"`)
        timeout (float): How many seconds a request may take. (default: :obj:`60.0`)
        options (dict, optional): What else is asked of the model, on top of
            :obj:`{'temperature': 0, 'max_tokens': 1024, 'response_format': {'type':
            'json_object'}}`; :obj:`None` as a value leaves one out.
            (default: :obj:`None`)

    Raises:
        ImportError: If the client is not installed.
        ValueError: If an argument is out of range, or there is no key.
        ChatError: If the endpoint cannot be reached, refuses, or takes too long.
    """

    def __init__(
        self,
        model: str,
        base_url: str = 'https://api.openai.com/v1',
        timeout: float = 60.0,
        options: Optional[Mapping[str, Any]] = None,
    ) -> None:
        check_positive('timeout', timeout)
        base_url = check_url(base_url)
        try:
            import openai  # noqa: F401
        except ImportError:
            raise ImportError(
                "'OpenAIChat' needs openai: pip install 'pyg_irllrec[llm]'"
            ) from None
        self.model = model
        self.base_url = base_url
        self.timeout = timeout
        chosen = {**_DEFAULTS, **(options or {})}
        self.options = {k: v for k, v in chosen.items() if v is not None}
        self._lock = threading.Lock()
        # A function, so that nothing that shows or stores attributes meets the key.
        self._client: Optional[Callable[[], Any]] = None

    def __call__(self, conversations: Sequence[Conversation]) -> list[ChatReply]:
        r"""An answer for each conversation, one request after the other."""
        return [self._ask(conversation) for conversation in conversations]

    def describe(self) -> dict[str, Any]:
        r"""What the answers were made with, for a record beside them."""
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

        client = self._open()
        retry_after = None
        kind = 'passing'
        try:
            return _read_reply(self._request(client, conversation))
        except APIStatusError as error:
            kind = _kind(error.status_code, error.code)
            retry_after = _retry_after(error.response.headers)
            reason = f'{error.status_code}, {error.message}'
        except (APITimeoutError, TimeoutError):
            reason = f'no answer within {self.timeout:g} seconds'
        except APIConnectionError as error:
            reason = f'{error} ({error.__cause__})' if error.__cause__ else str(error)
        except ValueError as error:
            reason = str(error)
        except Exception as error:  # The connection broke while it was read.
            if not type(error).__module__.startswith(('httpx', 'httpcore')):
                raise
            reason = f'{type(error).__name__}: {error}'
        # Said here, for the client's error holds the request, and the request the
        # key, which some endpoints even repeat in their answer.
        reason = reason.replace(client.api_key, '***')[:300]
        raise ChatError(f'{self.base_url}: {reason}', kind, retry_after)

    def _request(self, client: Any, conversation: Conversation) -> bytes:
        deadline = time.monotonic() + self.timeout
        parts: list[bytes] = []
        size = 0
        # The body piece by piece: the client's own timeout is one of each piece, and
        # a server that drips could hold a thread for ever.
        # As 'extra_body', which the client takes as it is: it would take as long to
        # check the messages against its types as for all the rest.
        body = {**self.options, 'messages': conversation}
        with client.chat.completions.with_streaming_response.create(
            model=self.model, messages=[], extra_body=body
        ) as response:
            for part in response.iter_bytes():
                parts.append(part)
                size += len(part)
                if time.monotonic() > deadline:
                    raise TimeoutError
                if size > _LARGEST_ANSWER:
                    raise ValueError(f'it answers with more than {size} bytes')
        return b''.join(parts)

    def _open(self) -> Any:
        r"""The client, one for all threads."""
        with self._lock:
            if self._client is None:
                from openai import OpenAI

                client = OpenAI(
                    api_key=_read_key(),
                    base_url=self.base_url,
                    timeout=self.timeout,
                    max_retries=0,
                )
                self._client = lambda: client
            return self._client()

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.model!r}, base_url={self.base_url!r})'


def _read_key() -> str:
    if 'OPENAI_API_KEY' not in os.environ:
        raise ValueError(
            'the environment variable OPENAI_API_KEY must be set (an endpoint that '
            'needs no key takes any)'
        )
    return check_key(os.environ['OPENAI_API_KEY'])


def _kind(status: int, code: Optional[str]) -> str:
    if status in _FINAL or code == 'insufficient_quota':
        return 'final'
    return 'passing' if status in _PASSING or status >= 500 else 'refused'


def _retry_after(headers: Mapping[str, str]) -> Optional[float]:
    r"""How many seconds the server asks to wait, in any of the ways to say so."""
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
        answer = json.loads(body)
        content = answer['choices'][0]['message']['content']
        usage = answer.get('usage') or {}
        counts = [usage.get('prompt_tokens'), usage.get('completion_tokens')]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f'it must answer with a chat completion, got {type(error).__name__} in '
            f'{len(body)} bytes'
        ) from None
    # Models that decline give no content: what is asked for is not in it.
    text = content if isinstance(content, str) else ''
    known = [count if isinstance(count, int) else None for count in counts]
    return ChatReply(text, *known)
