from __future__ import annotations

from typing import Optional


class ChatReply(str):
    r"""An answer with its token counts.

    Args:
        text (str): The answer.
        prompt_tokens (int, optional): The number of tokens of the conversation.
            (default: :obj:`None`, unknown)
        answer_tokens (int, optional): The number of tokens of the answer.
            (default: :obj:`None`, unknown)
    """

    prompt_tokens: Optional[int]
    answer_tokens: Optional[int]

    def __new__(
        cls,
        text: str,
        prompt_tokens: Optional[int] = None,
        answer_tokens: Optional[int] = None,
    ) -> ChatReply:
        r"""Makes a string with token counts."""
        reply = super().__new__(cls, text)
        reply.prompt_tokens = prompt_tokens
        reply.answer_tokens = answer_tokens
        return reply
