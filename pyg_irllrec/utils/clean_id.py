"""The one rule of ids that are written as text, wherever they come from."""

from __future__ import annotations

import re
import unicodedata
from typing import Optional

BLANKS = (
    '\0\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u2001\u2002\u2003\u2004'
    '\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u200e\u200f\u2028\u2029'
    '\u202f\u205f\u2060\u3000\ufeff'
)
"""What is no part of an id at its ends: blanks of every width, zero included, and the
padding of fixed-width exports."""
MISSING_WORDS = (
    '', '#N/A', '#N/A N/A', '#NA', '-1.#IND', '-1.#QNAN', '-NaN', '-nan', '1.#IND',
    '1.#QNAN', '<NA>', 'N/A', 'NA', 'NULL', 'NaN', 'None', 'n/a', 'nan', 'null',
    r'\N', 'NaT', 'Null', 'NONE', 'none',
)  # fmt: skip
"""What pandas.read_csv reads as missing, and what databases and programs write."""
WHOLE_FLOAT = r'^(?:-?(0)|(-?[1-9][0-9]*))\.0+$'
"""An integer that became a float, which is still the same id."""
SUSPECT = r'[\r\n]|^[-+]?[0-9]+(\.[0-9]+)?[eE]\+[0-9]+$|^-?[0-9]{16,}\.0+$'
"""What may hold a line break or have lost digits, for :func:`id_fault` to decide."""
_WHOLE_FLOAT, _SUSPECT = re.compile(WHOLE_FLOAT), re.compile(SUSPECT)
LOST_DIGITS = (
    'holds an id that was written as a float, which may have lost digits: write ids as '
    'integers or strings'
)


def clean_id(text: str) -> str:
    r"""An id without blanks at its ends, in Unicode's composed form (NFC), and without
    the :obj:`".0"` of an integer that became a float."""
    text = unicodedata.normalize('NFC', text).strip(BLANKS)
    if not text.endswith('0') or id_fault(text):
        return text
    return _WHOLE_FLOAT.sub(r'\1\2', text)


def id_fault(text: str) -> Optional[str]:
    r"""Why a text without blanks at its ends is no id, or :obj:`None`."""
    if text in MISSING_WORDS:
        return 'lacks an id'
    if not _SUSPECT.search(text):
        return None
    if '\n' in text or '\r' in text:
        return (
            'holds an id with a line break, as a quote that is not closed makes it '
            '(pass quote=None where a CSV file uses no quotes)'
        )
    digits = text.partition('.')[0].lstrip('-')
    if 'e' in text.lower() or len(digits) > 16 or int(digits) >= 2**53:
        return LOST_DIGITS
    return None
