from __future__ import annotations

import unicodedata

_JOINERS = '\u200c\u200d'  # Persian and emoji need them; they move nothing.


def printable(value: object) -> str:
    r"""A value as text for a terminal, in one line: control characters, escape
    sequences, marks that change the direction of writing, and unpaired surrogates
    become visible, such as :obj:`\\x1b`."""
    text = str(value)
    return text if text.isprintable() else ''.join(map(_show, text))


def _show(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    if unicodedata.category(char) == 'Zs':
        return ' '
    return char.encode('unicode_escape').decode()
