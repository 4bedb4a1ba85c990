from __future__ import annotations

from importlib.util import find_spec


def require_pyarrow(name: str) -> None:
    r"""Raises an :class:`ImportError` where pyarrow is not installed."""
    if find_spec('pyarrow') is None:
        raise ImportError(f"{name!r} needs pyarrow: pip install 'pyg_irllrec[data]'")
