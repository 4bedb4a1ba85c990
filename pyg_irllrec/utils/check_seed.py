from __future__ import annotations

from numbers import Integral


def check_seed(seed: object, name: str = 'seed') -> None:
    r"""Raises a :class:`ValueError` unless :obj:`seed` is an integer from 0 to
    :math:`2^{63} - 1`, which torch's generators take everywhere."""
    integral = isinstance(seed, Integral) and not isinstance(seed, bool)
    if not integral or not 0 <= seed < 2**63:  # type: ignore[operator]
        raise ValueError(
            f"'{name}' must be an integer from 0 to 2**63 - 1, got {seed!r}"
        )
