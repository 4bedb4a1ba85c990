from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from pyg_irllrec.utils.printable import printable


class Output:
    r"""What a command prints: its result on the standard output, as lines for people or
    as one JSON object, and notes on its way.

    Args:
        as_json (bool): Whether the result is printed as JSON. Notes then go to the
            standard error, so that nothing else is on the standard output.
        quiet (bool): Whether notes are left out.
    """

    def __init__(self, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.progress = not quiet and sys.stderr.isatty()
        """Whether progress bars are drawn, on the standard error."""

    def note(self, text: str) -> None:
        r"""Print a line on what is being done."""
        if not self.quiet:
            print(printable(text), file=sys.stderr if self.as_json else sys.stdout)

    def result(self, value: Mapping[str, Any], lines: Iterable[str]) -> None:
        r"""Print the result.

        Args:
            value (dict): It, as JSON has it.
            lines (iterable of str): It, for people.
        """
        if self.as_json:
            print(json.dumps(dict(value), indent=2, allow_nan=False, default=str))
            return
        for line in lines:
            print(printable(line))
