"""The address of a server that speaks OpenAI's protocols, and its key."""

from __future__ import annotations

from urllib.parse import urlsplit


def check_url(url: str) -> str:
    r"""An address without a slash at its end, or a :class:`ValueError` unless it is
    one and holds no secret."""
    if any(sign in url for sign in '@?#'):  # Before it is shown: it may be a secret.
        raise ValueError(
            "'base_url' must hold no user, password, query or fragment: give the key "
            "as 'api_key'"
        )
    parts = urlsplit(url)
    if parts.scheme not in ('http', 'https') or not parts.hostname:
        raise ValueError(f"'base_url' must be an http or https address, got {url!r}")
    return url.rstrip('/')


def check_key(key: str) -> str:
    r"""A key without blanks around it, or a :class:`ValueError`, which does not show
    it, unless it can be one."""
    key = key.strip()  # Files and shells end in line breaks.
    if not key or not key.isascii() or not key.isprintable() or ' ' in key:
        raise ValueError(
            "the API key ('api_key' or OPENAI_API_KEY) must be printable ASCII "
            'characters without blanks'
        )
    return key
