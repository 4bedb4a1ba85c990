from __future__ import annotations

from importlib import import_module
from types import ModuleType


def import_optional(module: str, needed_by: str, extra: str) -> ModuleType:
    r"""Imports a module that an extra of this package installs.

    Args:
        module (str): The module, such as :obj:`"pyarrow"`.
        needed_by (str): What needs it, for the error.
        extra (str): The extra that installs it, such as :obj:`"data"`.

    Raises:
        ImportError: If the module, or one that it needs, is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition('.')[0]
        raise ImportError(
            f'{needed_by} needs {package}, which could not be imported ({error}): '
            f"run `pip install 'pyg_irllrec[{extra}]'`"
        ) from error
