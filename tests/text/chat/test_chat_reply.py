from __future__ import annotations

from pyg_irllrec.text import ChatReply


def test_a_string_with_counts():
    reply = ChatReply('yes', 12, 1)
    assert reply == 'yes' and isinstance(reply, str)
    assert (reply.prompt_tokens, reply.answer_tokens) == (12, 1)
    unknown = ChatReply('no')
    assert unknown.prompt_tokens is None and unknown.answer_tokens is None
