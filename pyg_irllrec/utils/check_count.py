from __future__ import annotations

from numbers import Integral


def check_count(name: str, value: object, least: int = 1) -> None:
    r"""Raises a :class:`ValueError` unless :obj:`value` is an integer of :obj:`least`
    or above."""
    integral = isinstance(value, Integral) and not isinstance(value, bool)
    if not integral or value < least:  # type: ignore[operator]
        raise ValueError(
            f"'{name}' must be an integer of {least} or above, got {value!r}"
        )
