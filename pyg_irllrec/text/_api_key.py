from __future__ import annotations

import os
import pickle
import re
from typing import Any, Optional

from pyg_irllrec.utils.argument_checks import check_instance

VARIABLE = 'OPENAI_API_KEY'
_LONG = 8  # Keys of at least this length are redacted inside words, too.
_WORD = 4  # These are redacted as whole words; shorter keys only after 'Bearer'.


class ApiKey:
    r"""The key of an endpoint, which is never shown or pickled.

    Args:
        key (str, optional): The key. With :obj:`None`, each :meth:`get` reads the
            environment variable :obj:`OPENAI_API_KEY`.

    Raises:
        ValueError: If the key has characters that cannot be sent.
    """

    __slots__ = ('_key',)

    def __init__(self, key: Optional[str] = None) -> None:
        self._key = None if key is None else _check_key(key)

    def get(self) -> str:
        r"""Return the key.

        Raises:
            ValueError: If there is no key, or it has characters that cannot be sent.
        """
        if self._key is not None:
            return self._key
        if VARIABLE not in os.environ:
            raise ValueError(
                f"'api_key' must be given, or the environment variable {VARIABLE} must "
                'be set (an endpoint without keys accepts any value)'
            )
        return _check_key(os.environ[VARIABLE])

    def redact(self, text: str, key: Optional[str] = None) -> str:
        r"""Replace the key in a text. A short key, such as a dummy key for an endpoint
        without keys, is only replaced as a whole word.

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
                f'contain the key: set {VARIABLE} instead'
            )
        return type(self), ()


def _check_key(key: str) -> str:
    r"""Return the key without surrounding whitespace, or raise a :class:`ValueError`
    that does not show the key."""
    check_instance('api_key', key, str)
    key = key.strip()  # Files often end in a line break.
    if not key or not key.isascii() or not key.isprintable() or ' ' in key:
        raise ValueError(
            f"the API key ('api_key' or {VARIABLE}) must be printable ASCII characters "
            'without spaces'
        )
    return key
