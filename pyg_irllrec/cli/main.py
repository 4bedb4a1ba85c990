from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Optional

from pyg_irllrec.utils.optional import import_optional


def main(argv: Optional[Sequence[str]] = None) -> None:
    r"""The command ``pyg-irllrec``: runs one of its commands and exits, with code 2
    where its input is wrong, and 130 where it was interrupted.

    Args:
        argv (sequence of str, optional): What is typed after its name.
            (default: :obj:`None`, the arguments of the process)
    """
    try:
        for module in ('typer', 'pydantic', 'yaml'):
            import_optional(module, 'pyg-irllrec', 'cli')
    except ImportError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    from pyg_irllrec.cli.app import app

    app(argv, prog_name='pyg-irllrec')
