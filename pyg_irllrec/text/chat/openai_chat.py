from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from pyg_irllrec.text._api_key import ApiKey
from pyg_irllrec.text._base_url import check_base_url
from pyg_irllrec.text._endpoint import Endpoint, EndpointError, find_error
from pyg_irllrec.text.chat._answer_text import NO_ANSWER, is_whole_object
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_model import Conversation
from pyg_irllrec.text.chat.chat_reply import ChatReply
from pyg_irllrec.utils.argument_checks import check_instance, check_name
from pyg_irllrec.utils.checks import check_count, check_positive
from pyg_irllrec.utils.optional import import_optional

_MAX_RESPONSE_BYTES = 10_000_000
_TEXT_PARTS = ('text', 'output_text')
_THOUGHTS = (
    'reasoning_content',
    'reasoning',
    'reasoning_details',
    'thinking',
    'thinking_blocks',
    'thoughts',
)
# Values of finish_reason, as several servers send them.
_WHOLE = re.compile(
    r'stop|stop_sequence|stop_token|end|end_turn|eos|eos_token|complete|completed|done|'
    r'finished|success|normal|tool_calls?|tool_use|function_call|unspecified|unknown|'
    r'null|none|'
)
_CUT_OFF = re.compile(
    r'length|token_limit|context_window_exceeded|max_length|max_(\w+_)?tokens?|'
    r'model_length|model_context_window_exceeded'
)
_FILTERED = re.compile(
    r'content_filter\w*|safety|\w+_safety|refusal|sensitive|recitation|blocklist|'
    r'prohibited_content|spii|guardrail\w*|moderation|blocked'
)
# Roles of messages that are not answers: repeated input, or the result of a tool.
_OTHER_ROLES = ('user', 'human', 'system', 'developer', 'tool', 'function')
_VERSION = re.compile(r'([-:@_](preview|exp|\d{2,}))+')
_MIN_VERSION_DIGITS = 3  # "gpt-4-0613" is "gpt-4", but "gpt-3-5" is not "gpt-3".


class OpenAIChat:
    r"""A chat model behind an endpoint with the chat completions API of OpenAI: OpenAI
    itself, or your own server (vLLM, Ollama, llama.cpp, ...). It uses the
    :obj:`openai` client (extra :obj:`llm`), and many threads may call it. It does not
    retry; :class:`~pyg_irllrec.text.IntentExtractor` does. It warns once if the
    response names a different model. Dates and versions at the end of a name are
    ignored.

    The key is sent to the endpoint and never shown, neither in errors nor by
    :obj:`repr` or :meth:`describe`. A model with an :obj:`api_key` cannot be pickled.

    Args:
        model (str): The name of the model.
        base_url (str): The URL of the endpoint, without :obj:`/chat/completions`.
            (default: :obj:`"https://api.openai.com/v1"`)
        api_key (str, optional): The key. An endpoint without keys accepts any value.
            (default: :obj:`None`, the environment variable :obj:`OPENAI_API_KEY`, read
            at the first call)
        max_tokens (int, optional): The largest number of tokens per answer, or
            :obj:`None` to send no limit. (default: :obj:`1024`)
        timeout (float): The largest number of seconds per request, until the last byte
            of the response. (default: :obj:`60.0`)
        options (dict, optional): Further fields of the request, merged with
            :obj:`{'temperature': 0, 'response_format': {'type': 'json_object'}}`. A
            value of :obj:`None` removes a field. (default: :obj:`None`)

    Raises:
        ImportError: If the client is not installed.
        ValueError: If an argument is out of range, or there is no key.
        ChatError: If the endpoint cannot be reached, refuses the request, or takes too
            long; or if an answer is cut off, filtered, declined or empty.

    Example:
        >>> from pyg_irllrec.text import OpenAIChat
        >>> chat = OpenAIChat('llama3.1', 'http://localhost:11434/v1', api_key='any')
        >>> question = [{'role': 'user', 'content': 'Why do people watch calm films?'}]
        >>> chat.request(question)['temperature']
        0
        >>> (reply,) = chat([question])  # doctest: +SKIP
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
        check_name('model', model)
        if max_tokens is not None:
            check_count('max_tokens', max_tokens)
        check_positive('timeout', timeout)
        base_url = check_base_url(base_url)
        options = {} if options is None else options
        check_instance('options', options, Mapping)
        options = dict(options)
        for name in ('model', 'messages', 'max_tokens'):
            if name in options:
                raise ValueError(
                    f"'options' must hold further fields of a request, got {name!r}, "
                    'which is set separately'
                )
        try:
            json.dumps(options)
        except (TypeError, ValueError, RecursionError):  # Not shown: may be secret.
            raise ValueError("'options' must hold JSON values") from None
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
        self._has_warned = False
        self._endpoint = Endpoint(base_url, key, timeout, _MAX_RESPONSE_BYTES)

    def __call__(self, conversations: Sequence[Conversation]) -> list[ChatReply]:
        r"""Return one answer per conversation. Requests are sent one after another."""
        return [self._ask(conversation) for conversation in conversations]

    def describe(self) -> dict[str, Any]:
        r"""Return the model and its options, to be saved with its answers."""
        from openai import __version__

        return {
            'model': self.model,
            'language_model': True,
            'base_url': self.base_url,
            'options': self.options,
            'library': f'openai {__version__}',
        }

    def request(self, conversation: Conversation) -> dict[str, Any]:
        r"""Return the body of a request, for batch files.

        Args:
            conversation (list): The conversation.
        """
        return {'model': self.model, **self.options, 'messages': conversation}

    def read(self, response: dict[str, Any]) -> ChatReply:
        r"""Return the answer in the body of a response: the text of its first choice.
        No key is needed.

        Args:
            response (dict): The body, parsed from JSON.

        Raises:
            ChatError: If the body contains an error or no complete answer.
        """
        if (failure := find_error(response)) is not None:
            raise self._error(*failure)
        choices = response.get('choices')
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get('message') if isinstance(choice, dict) else None
        if isinstance(choice, dict) and choice.get('error'):
            message = message if isinstance(message, dict) else {}
        if not isinstance(choice, dict) or not isinstance(message, dict):
            raise self._error(
                f'the response must be a chat completion, got: {json.dumps(response)}',
                'passing',
            )
        self._compare_model(response.get('model'))
        usage = response.get('usage')
        usage = usage if isinstance(usage, dict) else {}
        text = _read_text(message)
        reply = ChatReply(
            # A server may repeat the key even in a valid answer.
            self._endpoint.redact(text),
            usage.get('prompt_tokens'),
            usage.get('completion_tokens'),
        )
        if (problem := _find_problem(choice, message, text)) is not None:
            raise self._error(*problem, reply)
        return reply

    def _compare_model(self, answering: Any) -> None:
        r"""Warn once if the response names a different model."""
        if self._has_warned or not isinstance(answering, str) or not answering.strip():
            return
        if not _is_same_model(self.model, answering):
            self._has_warned = True
            warnings.warn(
                f'{self.base_url}: the request names the model {self.model!r}, but the '
                f'response names {self._endpoint.show(answering)[:100]!r}',
                stacklevel=2,
            )

    def _error(
        self, reason: str, kind: str, reply: Optional[ChatReply] = None
    ) -> ChatError:
        reason = f'{self.base_url}: {self._endpoint.show(reason)}'
        return ChatError(reason, kind, reply=reply)

    def _ask(self, conversation: Conversation) -> ChatReply:
        # 'extra_body' skips the checks of the client, which take half of the time.
        body = self.request(conversation)
        try:
            response = self._endpoint.call(
                lambda client: client.chat.completions.with_raw_response.create(
                    model=self.model, messages=[], extra_body=body
                )
            )
        except EndpointError as error:
            failure = error
        else:
            return self.read(response)
        reason = f'{self.base_url}: {failure}'
        raise ChatError(reason, failure.kind, failure.retry_after)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.model!r}, base_url={self.base_url!r})'


def _find_problem(
    choice: dict[str, Any], message: dict[str, Any], text: str
) -> Optional[tuple[str, str]]:
    r"""Return the reason why a choice has no usable answer, with advice, and the kind
    of the error; :obj:`None` if the answer is usable."""
    if choice.get('error'):
        return find_error({'error': choice['error']})
    problem = _find_cause(choice.get('finish_reason'), message, text)
    return None if problem is None else (problem, 'refused')


def _is_same_model(asked: str, answering: str) -> bool:
    r"""Return whether two names denote the same model, such as
    :obj:`"openai/gpt-4o"` and :obj:`"gpt-4o-2024-08-06"`."""
    short, long = sorted(map(_base_name, (asked, answering)), key=len)
    version = long.removeprefix(short)
    if not long.startswith(short) or _VERSION.fullmatch(version) is None:
        return short == long
    return len(re.findall(r'\d', version)) >= _MIN_VERSION_DIGITS


def _base_name(model: str) -> str:
    name = re.split(r'[/\\]', model.strip().rstrip('/\\').lower())[-1]
    return re.sub(r'(\.gguf|[-:@]latest|:free)$', '', name)


def _find_cause(reason: Any, message: dict[str, Any], text: str) -> Optional[str]:
    role = message.get('role')
    if isinstance(role, str) and role.strip().lower() in _OTHER_ROLES:
        return f"the answer must have the role 'assistant', got {role!r}"
    if (refusal := _read_refusal(message)) is not None:
        return f'the model declined: {refusal}'
    shown = f'(finish_reason {reason!r:.80})'
    ended = reason.lower() if isinstance(reason, str) else ''
    ended = ended.removeprefix('finish_reason_')
    if _FILTERED.fullmatch(ended):
        return (
            f"the server's content filter withheld the answer {shown}: remove the "
            'texts that it objects to, or change the filter'
        )
    if ended == 'error':
        return f'the server failed before the answer was complete {shown}'
    if not _WHOLE.fullmatch(ended) and not is_whole_object(text):
        if _CUT_OFF.fullmatch(ended):
            return (
                f'the answer was cut off at the token limit {shown}: raise '
                "'max_tokens', or reduce the thinking of the model"
            )
        return f'the server ended the answer before it was complete {shown}'
    if text.strip():
        return None
    if any(message.get(name) for name in _THOUGHTS) or _has_thoughts(message):
        return NO_ANSWER
    return f'the model returned no text {shown}'


def _has_thoughts(message: dict[str, Any]) -> bool:
    parts = message.get('content')
    return isinstance(parts, list) and any(
        isinstance(part, dict) and part.get('type') in ('thinking', 'reasoning')
        for part in parts
    )


def _read_text(message: dict[str, Any]) -> str:
    r"""Return the text of a message. It may come in parts or as the arguments of a tool
    call. Thoughts are in separate parts and fields."""
    content = message.get('content')
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        content = '\n'.join(map(_read_part, content))
    if isinstance(content, str) and content.strip():
        return content
    calls = message.get('tool_calls')
    functions = [
        call.get('function')
        for call in (calls if isinstance(calls, list) else [])
        if isinstance(call, dict)
    ]
    found = [f.get('arguments') for f in functions if isinstance(f, dict)]
    return '\n'.join(
        each if isinstance(each, str) else json.dumps(each)
        for each in found
        if isinstance(each, (str, dict))
    )


def _read_part(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or (part.get('type') or 'text') not in _TEXT_PARTS:
        return ''
    text = part.get('text')
    if isinstance(text, dict):
        text = text.get('value')
    return text if isinstance(text, str) else ''


def _read_refusal(message: dict[str, Any]) -> Optional[str]:
    parts = message.get('content')
    found = [message, *(parts if isinstance(parts, list) else [])]
    words = [each.get('refusal') for each in found if isinstance(each, dict)]
    return next((each for each in words if isinstance(each, str) and each), None)
