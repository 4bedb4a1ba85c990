from __future__ import annotations

import atexit
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from typer import Typer


def main(argv: Optional[Sequence[str]] = None) -> None:
    r"""The command ``pyg-irllrec``: runs one of its commands and exits, with code 2
    where its input is wrong, and 130 where it was interrupted.

    Args:
        argv (sequence of str, optional): What is typed after its name.
            (default: :obj:`None`, the arguments of the process)
    """
    try:
        app = _import_app()
    except KeyboardInterrupt:  # Importing torch takes seconds.
        print('stopped', file=sys.stderr)
        sys.exit(130)
    # When all is done, Ctrl-C changes the exit code no longer.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    app(argv, prog_name='pyg-irllrec')


def _import_app() -> Typer:
    from pyg_irllrec.utils.optional import import_optional

    try:
        for module in ('typer', 'pydantic', 'yaml'):
            import_optional(module, 'pyg-irllrec', 'cli')
    except ImportError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    from pyg_irllrec.cli.app import app

    return app
