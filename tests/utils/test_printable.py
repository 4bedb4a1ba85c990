from __future__ import annotations

import pytest

from pyg_irllrec.utils.printable import printable


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('Æsop, 東京 👩\u200d🚀', 'Æsop, 東京 👩\u200d🚀'),
        ('\x1b[31mred\x07', r'\x1b[31mred\x07'),
        ('\x9b2J', r'\x9b2J'),
        ('one\ntwo\rthree\tfour', r'one\ntwo\rthree\tfour'),
        ('a\u202eb\u2066c\u200f\u061cd', r'a\u202eb\u2066c\u200f\u061cd'),
        ('a\u2028b\xa0c\u3000d', 'a\\u2028b c d'),
        ('\ud800x\x00', r'\ud800x\x00'),
        (-2, '-2'),
    ],
)
def test_nothing_controls_the_terminal(text, shown):
    assert printable(text) == shown
    printable(text).encode()
