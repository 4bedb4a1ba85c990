from __future__ import annotations

import os


def check_root(root: object) -> None:
    r"""Raises a :class:`ValueError` unless :obj:`root` is a path."""
    if not isinstance(root, (str, os.PathLike)):
        raise ValueError(f"'root' must be the path of a folder, got {root!r}")
