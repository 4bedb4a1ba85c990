from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypedDict


class Message(TypedDict):
    r"""One message of a conversation. Its role is :obj:`"system"`, :obj:`"user"` or
    :obj:`"assistant"`.

    Example:
        >>> from pyg_irllrec.text import Message
        >>> Message(role='user', content='Why do people watch calm films?')
        {'role': 'user', 'content': 'Why do people watch calm films?'}
    """

    role: str
    content: str


Conversation = list[Message]
"""The messages of a conversation, in order."""


class ChatModel(Protocol):
    r"""The interface of chat models: a callable that answers conversations.

    It takes a list of conversations and returns one answer per conversation: a string,
    or a :class:`~pyg_irllrec.text.ChatReply` with token counts. If it cannot answer, it
    raises a :class:`~pyg_irllrec.text.ChatError`. Any other error ends the run.

    :class:`~pyg_irllrec.text.IntentExtractor` calls the model from several threads with
    one conversation per call, so that texts of two nodes never share a conversation.
    It also needs a method :obj:`describe()`, which returns a dictionary that identifies
    the model and its settings.

    Example:
        >>> class Echo:
        ...     def __call__(self, conversations):
        ...         return [messages[-1]['content'] for messages in conversations]
        ...     def describe(self):
        ...         return {'model': 'echo', 'language_model': False}
        >>> Echo()([[{'role': 'user', 'content': 'Hello'}]])
        ['Hello']
    """

    def __call__(self, conversations: Sequence[Conversation], /) -> Sequence[str]:
        r"""Return one answer per conversation."""
