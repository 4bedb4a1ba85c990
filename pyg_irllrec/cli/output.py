from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from pyg_irllrec.utils.printable import printable


class Output:
    r"""The output of a command: its result as lines of text or as one JSON object, and
    notes about its progress.

    Args:
        as_json (bool): Whether to print the result as JSON. Notes then go to standard
            error, so that standard output is valid JSON.
        quiet (bool): Whether to omit notes and progress bars.
    """

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.progress = not quiet and sys.stderr.isatty()
        """Whether to draw progress bars, on standard error."""

    def note(self, text: str) -> None:
        r"""Print a note, unless quiet."""
        if not self.quiet:
            print(printable(text), file=sys.stderr if self.as_json else sys.stdout)

    def result(self, value: Mapping[str, Any], lines: Iterable[str]) -> None:
        r"""Print the result.

        Args:
            value (dict): The result, for JSON.
            lines (iterable of str): The same result as text.
        """
        if self.as_json:
            print(json.dumps(dict(value), indent=2, allow_nan=False, default=str))
            return
        for line in lines:
            print(printable(line))
