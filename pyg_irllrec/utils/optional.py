from __future__ import annotations

from importlib import import_module
from types import ModuleType


def import_optional(module: str, needed_by: str, extra: str) -> ModuleType:
    r"""Import a module of an optional package. If that fails, the error names the extra
    of this package that installs it.

    Args:
        module (str): The module, such as :obj:`"pyarrow"`.
        needed_by (str): The name of the class or function that needs it.
        extra (str): The extra that installs it, such as :obj:`"data"`.

    Raises:
        ImportError: If the module or one of its dependencies is not installed.
    """
    try:
        return import_module(module)
    except (ImportError, OSError) as error:  # OSError: built for another torch version.
        package = module.partition('.')[0].replace('_', '-')
        raise ImportError(
            f'{needed_by} needs {package}, which could not be imported ({error}): '
            f"run `pip install 'pyg_irllrec[{extra}]'`"
        ) from error
