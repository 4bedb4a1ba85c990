from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from io import TextIOWrapper
from typing import Any, Optional

from pyg_irllrec.utils.files import WriteError
from pyg_irllrec.utils.printable import printable


def run_command(
    work: Callable[[], object],
    hint: str = '',
    options: Optional[Mapping[str, str]] = None,
) -> int:
    r"""Run the work of a command and print what is wrong with its input in one line,
    without a traceback.

    Args:
        work (callable): The work.
        hint (str): How to continue after an interruption, or where a file could not be
            written. (default: :obj:`""`)
        options (dict, optional): Options by what errors and notes call them.
            (default: :obj:`None`)

    Returns:
        The exit status: 0, 2 for bad input, 130 after an interruption, and 141 where
        nobody reads on, as in :obj:`| head`.
    """
    options = options or {}

    def print_note(message: Warning | str, *_: Any, **__: Any) -> None:
        # Without the line of code that raised it.
        print(f'note: {printable(_as_typed(message, options))}', file=sys.stderr)

    if isinstance(sys.stdout, TextIOWrapper):
        # Where the terminal lacks a letter of a title, it is shown by its number.
        sys.stdout.reconfigure(errors='backslashreplace')
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Sparse ')  # Torch's, beta state.
        show, warnings.showwarning = warnings.showwarning, print_note
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
            shown = printable(_as_typed(error, options))
            print(f'error: {shown}{more}', file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print(f'stopped: {hint}' if hint else 'stopped', file=sys.stderr)
            return 130
        finally:
            warnings.showwarning = show
    return 0


def _as_typed(message: object, options: Mapping[str, str]) -> str:
    r"""An error or a note that names options instead of arguments. Names in quotes
    elsewhere in a sentence may be values of the user."""
    text = str(message)
    for name, option in options.items():
        about = r'(^|(?<=\band )|(?<=\bon )|(?<=\bpass ))' if name[0] == "'" else ''
        text = re.sub(about + re.escape(name), option, text)
    return text
