from __future__ import annotations

import unicodedata

_JOINERS = '\u200c\u200d'  # Harmless, and needed by Persian text and emoji.


def printable(value: object) -> str:
    r"""Convert a value to one line of text for a terminal. Control characters, escape
    sequences, marks that change the writing direction, and unpaired surrogates become
    visible, such as :obj:`\\x1b`."""
    text = str(value)
    return text if text.isprintable() else ''.join(map(_show, text))


def _show(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    if unicodedata.category(char) == 'Zs':
        return ' '
    return char.encode('unicode_escape').decode()
