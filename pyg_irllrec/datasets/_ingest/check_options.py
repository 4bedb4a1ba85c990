from __future__ import annotations

from pathlib import Path

from pyg_irllrec.utils.argument_checks import as_path, check_flag, check_transform


def check_options(root: object, transform: object, force_reload: object) -> Path:
    r"""Return the folder of a dataset, or raise a :class:`ValueError` if it is not a
    path, or another option common to all datasets has the wrong type."""
    check_transform(transform)
    check_flag('force_reload', force_reload)
    return as_path('root', root)
