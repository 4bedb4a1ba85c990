r"""The rules for ids that are written as text, the same for every source."""

from __future__ import annotations

import re
import unicodedata
from typing import Optional

BLANKS = (
    '\0\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u2001\u2002\u2003\u2004'
    '\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u200e\u200f\u2028\u2029'
    '\u202f\u205f\u2060\u3000\ufeff'
)
"""Characters to strip from the ends of an id: blanks of every width, including zero,
and the padding of fixed-width exports."""
MISSING_WORDS = (
    '', '#N/A', '#N/A N/A', '#NA', '-1.#IND', '-1.#QNAN', '-NaN', '-nan', '1.#IND',
    '1.#QNAN', '<NA>', 'N/A', 'NA', 'NULL', 'NaN', 'None', 'n/a', 'nan', 'null',
    r'\N', 'NaT', 'Null', 'NONE', 'none',
)  # fmt: skip
"""Words that pandas.read_csv reads as missing, and those that databases and programs
write for missing values."""
WHOLE_FLOAT = r'^(?:-?(0)|(-?[1-9][0-9]*))\.0+$'
"""An integer that was written as a float, which is the same id."""
SUSPECT = r'[\r\n]|^[-+]?[0-9]+(\.[0-9]+)?[eE]\+[0-9]+$|^-?[0-9]{16,}\.0+$'
"""A text that :func:`id_fault` checks for a line break or lost digits."""
_WHOLE_FLOAT, _SUSPECT = re.compile(WHOLE_FLOAT), re.compile(SUSPECT)
LOST_DIGITS = (
    'holds an id that was written as a float, which may have lost digits: write ids as '
    'integers or strings'
)


def clean_id(text: str) -> str:
    r"""Strip blanks from an id, convert it to Unicode's composed form (NFC), and remove
    the :obj:`".0"` of an integer that was written as a float."""
    text = unicodedata.normalize('NFC', text).strip(BLANKS)
    if not text.endswith('0') or id_fault(text):
        return text
    return _WHOLE_FLOAT.sub(r'\1\2', text)


def id_fault(text: str) -> Optional[str]:
    r"""The reason why a stripped text is not a valid id, or :obj:`None`."""
    if text in MISSING_WORDS:
        return 'lacks an id'
    if not _SUSPECT.search(text):
        return None
    if '\n' in text or '\r' in text:
        return (
            'holds an id with a line break, probably because of an unclosed quote '
            '(pass quote=None if the CSV file uses no quotes)'
        )
    digits = text.partition('.')[0].lstrip('-')
    if 'e' in text.lower() or len(digits) > 16 or int(digits) >= 2**53:
        return LOST_DIGITS
    return None
