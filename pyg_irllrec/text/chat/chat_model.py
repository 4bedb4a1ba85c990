from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypedDict


class Message(TypedDict):
    r"""One message of a conversation, of a role such as :obj:`"user"`.

    Example:
        >>> from pyg_irllrec.text import Message
        >>> Message(role='user', content='Why do people watch calm films?')
        {'role': 'user', 'content': 'Why do people watch calm films?'}
    """

    role: str
    content: str


Conversation = list[Message]
"""The messages of a conversation, in their order."""


class ChatModel(Protocol):
    r"""A callable that answers conversations, such as a function.

    It takes a list of conversations and returns one answer per conversation, a string
    or a :class:`~pyg_irllrec.text.ChatReply` with its token counts. It raises
    :class:`~pyg_irllrec.text.ChatError` where it cannot answer; any other error ends
    the run.

    :class:`~pyg_irllrec.text.IntentExtractor` calls it from several threads, with one
    conversation per call, so that the texts of two nodes never share a conversation.
    It needs a method :obj:`describe()` that returns a dictionary, which identifies the
    model in records of its answers.

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
