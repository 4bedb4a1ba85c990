from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from typer import Typer


def main(argv: Optional[Sequence[str]] = None) -> None:
    r"""Run one command of ``pyg-irllrec`` and exit: with code 2 if the input is wrong,
    and 130 after an interruption.

    Args:
        argv (sequence of str, optional): The arguments after the name
            ``pyg-irllrec``. (default: :obj:`None`, those of the process)
    """
    with _exit_at_once():
        app = _import_app(sys.argv[1:] if argv is None else argv)
    # Once the command is done, Ctrl-C no longer changes the exit code.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    app(argv, prog_name='pyg-irllrec')


@contextmanager
def _exit_at_once() -> Iterator[None]:
    r"""End the process at once on Ctrl-C. Importing torch takes seconds, and numpy
    turns a :class:`KeyboardInterrupt` during its import into another error."""
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not is_default or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _stop(*_: object) -> None:
    print('stopped', file=sys.stderr, flush=True)
    os._exit(130)


def _import_app(words: Sequence[str]) -> Typer:
    try:
        from pyg_irllrec.utils.optional import import_optional

        for module in ('typer', 'pydantic', 'yaml'):
            import_optional(module, 'pyg-irllrec', 'cli')
    except (
        ImportError,
        OSError,
    ) as error:  # OSError: a library of torch cannot be loaded.
        if list(words[:1]) == ['doctor']:
            from pyg_irllrec import doctor

            doctor.main(words[1:])
            sys.exit()
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    from pyg_irllrec.cli.app import app

    return app


if __name__ == '__main__':
    main()
