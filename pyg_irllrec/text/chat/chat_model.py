from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypedDict


class Message(TypedDict):
    r"""A turn of a conversation, as every chat model takes it."""

    role: str
    content: str


Conversation = list[Message]


class ChatModel(Protocol):
    r"""Anything that answers conversations: a function will do.

    Called with a list of conversations, it returns an answer each, a string or a
    :class:`~pyg_irllrec.text.ChatReply` that knows how many tokens it took. It raises
    :class:`~pyg_irllrec.text.ChatError` where an answer cannot be had; what else it
    raises ends the run.

    :class:`~pyg_irllrec.text.IntentExtractor` calls it from several threads, with a
    single conversation in each call, so that one node's texts never meet another's.
    A model whose answers are kept has to say what it is, by a method
    :obj:`describe()` that returns a dictionary.
    """

    def __call__(self, conversations: Sequence[Conversation], /) -> Sequence[str]:
        r"""An answer for each conversation."""
