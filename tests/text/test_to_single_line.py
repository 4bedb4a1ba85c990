from __future__ import annotations

from pyg_irllrec.text._to_single_line import to_single_line


def test_no_line_breaks_and_no_invisible_characters():
    assert to_single_line('a\n\tb\u2028c\u200bd\x00\udc00 e ') == 'a b c d e'
    assert to_single_line('naïve  – 中文') == 'naïve – 中文'
