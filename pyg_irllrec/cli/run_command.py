from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any


def run_command(work: Callable[[], object], hint: str = '') -> int:
    r"""Runs the work of a command and prints what is wrong with its input in one line,
    without a traceback.

    Args:
        work (callable): The work.
        hint (str): How to continue after an interruption. (default: :obj:`""`)

    Returns:
        The exit status: 0, 2 for bad input, and 130 after an interruption.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Sparse ')  # Torch's, beta state.
        show, warnings.showwarning = warnings.showwarning, _print_note
        try:
            work()
        except (ValueError, OSError, ImportError) as error:
            print(f'error: {error}', file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print(f'stopped: {hint}' if hint else 'stopped', file=sys.stderr)
            return 130
        finally:
            warnings.showwarning = show
    return 0


def _print_note(message: Warning | str, *_: Any, **__: Any) -> None:
    r"""A warning about the data, without the line of code that raised it."""
    print(f'note: {message}', file=sys.stderr)
