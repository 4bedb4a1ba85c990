from __future__ import annotations

from typing import Any, Optional

_MAX_TOKENS = 10**8  # More than any model reads or writes.


class ChatReply(str):
    r"""The answer of a chat model, a string with token counts. Invalid counts
    (negative, fractional, or above :math:`10^8`), as some servers send them, become
    :obj:`None`.

    Args:
        text (str): The answer.
        prompt_tokens (int, optional): The number of tokens of the conversation.
            (default: :obj:`None`, unknown)
        answer_tokens (int, optional): The number of tokens of the answer.
            (default: :obj:`None`, unknown)

    Example:
        >>> from pyg_irllrec.text import ChatReply
        >>> reply = ChatReply('Quiet evenings.', prompt_tokens=12, answer_tokens=4)
        >>> reply.upper(), reply.prompt_tokens
        ('QUIET EVENINGS.', 12)
    """

    prompt_tokens: Optional[int]
    answer_tokens: Optional[int]

    def __new__(
        cls,
        text: str,
        prompt_tokens: Optional[int] = None,
        answer_tokens: Optional[int] = None,
    ) -> ChatReply:
        r"""Create a string with token counts."""
        reply = super().__new__(cls, text)
        reply.prompt_tokens = _known_count(prompt_tokens)
        reply.answer_tokens = _known_count(answer_tokens)
        return reply


def _known_count(value: Any) -> Optional[int]:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MAX_TOKENS else None
