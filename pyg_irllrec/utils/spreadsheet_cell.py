from __future__ import annotations

import re

from pyg_irllrec.typing import NodeId

# What programs run as a formula, also behind blanks and quotes and in full width.
_FORMULA = re.compile(r'[\s"\']*[=+\-@＝＋－＠]|[\t\r\n\']')


def spreadsheet_cell(value: NodeId) -> NodeId:
    r"""An id as a cell of a CSV file that no spreadsheet runs. Text that could be a
    formula (it begins with :obj:`=`, :obj:`+`, :obj:`-`, :obj:`@`, or a tab or a new
    line) or that begins with an apostrophe gets an apostrophe in front; whoever reads
    the file takes one off. Numbers are as they are: :obj:`-2` is no formula."""
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return value
