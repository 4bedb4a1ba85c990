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
    quiet: bool = False,
) -> int:
    r"""Run the work of a command. Print wrong input as one line, without a traceback,
    and warnings as notes.

    Args:
        work (callable): The work.
        hint (str): How to continue after an interruption or a failed write.
            (default: :obj:`""`)
        options (dict, optional): Text in errors and notes, and the option that replaces
            it, see :class:`~pyg_irllrec.cli.command.Command`.
            (default: :obj:`None`)
        quiet (bool): Whether to omit warnings. (default: :obj:`False`)

    Returns:
        The exit code: 0 for success, 2 for wrong input, 130 after an interruption, and
        141 after a closed pipe, such as :obj:`| head`.
    """
    options = options or {}

    def print_note(message: Warning | str, *_: Any, **__: Any) -> None:
        if quiet:
            return
        # Without the file and line of the code that warned.
        print(f'note: {printable(_name_options(message, options))}', file=sys.stderr)

    if isinstance(sys.stdout, TextIOWrapper):
        # Escape characters that the encoding of the terminal lacks.
        sys.stdout.reconfigure(errors='backslashreplace')
    with warnings.catch_warnings():
        show, warnings.showwarning = warnings.showwarning, print_note
        try:
            work()
            if sys.stdout is not None:  # None if the caller closed it.
                sys.stdout.flush()
        except BrokenPipeError:
            # On exit, Python flushes the rest, which would fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        except (ValueError, OSError, ImportError) as error:
            advice = f': {hint}' if hint and isinstance(error, WriteError) else ''
            shown = printable(_name_options(error, options))
            print(f'error: {shown}{advice}', file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print(f'stopped: {hint}' if hint else 'stopped', file=sys.stderr)
            return 130
        finally:
            warnings.showwarning = show
    return 0


def _name_options(message: object, options: Mapping[str, str]) -> str:
    r"""Replace the names of arguments by options. An argument in quotes is replaced
    only where a sentence is about it, because other words in quotes may be user
    input."""
    text = str(message)
    for name, option in options.items():
        context = r'(^|(?<=\band )|(?<=\bon )|(?<=\bpass ))' if name[0] == "'" else ''
        text = re.sub(context + re.escape(name), option, text)
    return text
