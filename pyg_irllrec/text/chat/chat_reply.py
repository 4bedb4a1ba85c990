from __future__ import annotations

from typing import Optional


class ChatReply(str):
    r"""An answer that knows how many tokens it took.

    Args:
        text (str): The answer.
        prompt_tokens (int, optional): The tokens of the conversation.
            (default: :obj:`None`, not known)
        answer_tokens (int, optional): The tokens of the answer.
            (default: :obj:`None`, not known)
    """

    prompt_tokens: Optional[int]
    answer_tokens: Optional[int]

    def __new__(
        cls,
        text: str,
        prompt_tokens: Optional[int] = None,
        answer_tokens: Optional[int] = None,
    ) -> ChatReply:
        r"""The answer as a string with its counts."""
        reply = super().__new__(cls, text)
        reply.prompt_tokens = prompt_tokens
        reply.answer_tokens = answer_tokens
        return reply
