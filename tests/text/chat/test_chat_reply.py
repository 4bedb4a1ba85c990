from __future__ import annotations

import pytest

from pyg_irllrec.text import ChatReply


def test_a_string_with_counts():
    reply = ChatReply('yes', 12, 1)
    assert reply == 'yes' and isinstance(reply, str)
    assert (reply.prompt_tokens, reply.answer_tokens) == (12, 1)
    unknown = ChatReply('no')
    assert unknown.prompt_tokens is None and unknown.answer_tokens is None


@pytest.mark.parametrize('count', [-1, 10**30, 1.5, '3', True, [], float('nan')])
def test_invalid_counts_are_unknown(count):
    reply = ChatReply('x', count, count)
    assert (reply.prompt_tokens, reply.answer_tokens) == (None, None)
    assert ChatReply('x', 0, 10**8).answer_tokens == 10**8
