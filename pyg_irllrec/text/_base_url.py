from __future__ import annotations

from urllib.parse import urlsplit

from pyg_irllrec.utils.argument_checks import check_instance


def check_base_url(url: str) -> str:
    r"""Return the URL of an endpoint without a trailing slash. Raise a
    :class:`ValueError` unless it is an http or https URL without a secret."""
    check_instance('base_url', url, str)
    if any(sign in url for sign in '@?#'):  # Not shown, because it may be secret.
        raise ValueError(
            "'base_url' must not contain user, password, query or fragment: pass the "
            "key as 'api_key'"
        )
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"'base_url' must be a valid URL: {error}") from None
    if parts.scheme not in ('http', 'https') or not parts.hostname:
        raise ValueError(f"'base_url' must be an http or https URL, got {url!r}")
    return url.rstrip('/')
