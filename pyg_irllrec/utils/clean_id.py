from __future__ import annotations

import unicodedata

BLANKS = (
    '\0\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u2001\u2002\u2003\u2004'
    '\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u200e\u200f\u2028\u2029'
    '\u202f\u205f\u2060\u3000\ufeff'
)
"""What is no part of an id at its ends: blanks of every width, zero included, and the
padding of fixed-width exports."""


def clean_id(text: str) -> str:
    r"""An id without blanks at its ends, in Unicode's composed form (NFC)."""
    return unicodedata.normalize('NFC', text).strip(BLANKS)
