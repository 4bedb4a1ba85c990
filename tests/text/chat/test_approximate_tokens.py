from __future__ import annotations

from pyg_irllrec.text import approximate_tokens


def test_one_token_per_four_bytes():
    assert list(map(approximate_tokens, ('', 'a', 'abcde', '中'))) == [0, 1, 2, 1]
    assert approximate_tokens('\udc00') == 1
