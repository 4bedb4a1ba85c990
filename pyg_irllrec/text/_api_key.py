from __future__ import annotations

import os
import pickle
import re
from typing import Any, Optional

from pyg_irllrec.utils.argument_checks import check_instance

VARIABLE = 'OPENAI_API_KEY'
_LONG = 8  # From here on a key is found inside words.
_WORD = 4  # From here on it is found as a word; a shorter one after 'Bearer' alone.


class ApiKey:
    r"""The key of an endpoint. It is neither shown nor pickled.

    Args:
        key (str, optional): The key; :obj:`None` to read the environment variable
            :obj:`OPENAI_API_KEY` at every :meth:`get`.

    Raises:
        ValueError: If the key cannot be sent.
    """

    __slots__ = ('_key',)

    def __init__(self, key: Optional[str] = None) -> None:
        self._key = None if key is None else _check_key(key)

    def get(self) -> str:
        r"""The key.

        Raises:
            ValueError: If there is none, or it cannot be sent.
        """
        if self._key is not None:
            return self._key
        if VARIABLE not in os.environ:
            raise ValueError(
                f"'api_key' must be given, or the environment variable {VARIABLE} set "
                '(an endpoint without keys accepts any)'
            )
        return _check_key(os.environ[VARIABLE])

    def redact(self, text: str, key: Optional[str] = None) -> str:
        r"""The text without the key. Keys of a few letters, which endpoints without
        keys are given, are looked for as whole words, not inside others.

        Args:
            text (str): The text.
            key (str, optional): The key that was sent. (default: :obj:`None`,
                :meth:`get`)
        """
        key = self.get() if key is None else key
        if len(key) >= _LONG:
            return text.replace(key, '***')
        before = r'(?<!\w)' if len(key) >= _WORD else r'(?<=[Bb]earer )'
        return re.sub(before + re.escape(key) + r'(?!\w)', '***', text)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({"..." if self._key else ""})'

    def __deepcopy__(self, memo: dict[int, Any]) -> ApiKey:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._key is not None:
            raise pickle.PicklingError(
                "a model with an 'api_key' cannot be pickled, because the file would "
                f'hold the key: set {VARIABLE} instead'
            )
        return type(self), ()


def _check_key(key: str) -> str:
    r"""Return the key without surrounding blanks, or raises a :class:`ValueError`
    that does not show it."""
    check_instance('api_key', key, str)
    key = key.strip()  # Files and shells end in line breaks.
    if not key or not key.isascii() or not key.isprintable() or ' ' in key:
        raise ValueError(
            f"the API key ('api_key' or {VARIABLE}) must be printable ASCII characters "
            'without blanks'
        )
    return key
