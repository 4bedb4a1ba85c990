from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from io import TextIOWrapper
from typing import Any

from pyg_irllrec.utils.files import WriteError
from pyg_irllrec.utils.printable import printable


def run_command(work: Callable[[], object], hint: str = '') -> int:
    r"""Runs the work of a command and prints what is wrong with its input in one line,
    without a traceback.

    Args:
        work (callable): The work.
        hint (str): How to continue after an interruption, or where a file could not be
            written. (default: :obj:`""`)

    Returns:
        The exit status: 0, 2 for bad input, 130 after an interruption, and 141 where
        nobody reads on, as in :obj:`| head`.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # Where the terminal lacks a letter of a title, it is shown by its number.
        sys.stdout.reconfigure(errors='backslashreplace')
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Sparse ')  # Torch's, beta state.
        show, warnings.showwarning = warnings.showwarning, _print_note
        try:
            work()
            if sys.stdout is not None:  # It is where a caller has closed it.
                sys.stdout.flush()
        except BrokenPipeError:
            # Python would write the rest at its end, and fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        except (ValueError, OSError, ImportError) as error:
            more = f': {hint}' if hint and isinstance(error, WriteError) else ''
            print(f'error: {printable(error)}{more}', file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print(f'stopped: {hint}' if hint else 'stopped', file=sys.stderr)
            return 130
        finally:
            warnings.showwarning = show
    return 0


def _print_note(message: Warning | str, *_: Any, **__: Any) -> None:
    r"""A warning about the data, without the line of code that raised it."""
    print(f'note: {printable(message)}', file=sys.stderr)
