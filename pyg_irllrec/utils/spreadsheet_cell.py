from __future__ import annotations

import re

from pyg_irllrec.typing import NodeId

# Spreadsheets run these as formulas, also after blanks and quotes and in full width.
_FORMULA = re.compile(r'[\s"\']*[=+\-@＝＋－＠]|[\t\r\n\']')


def spreadsheet_cell(value: NodeId) -> NodeId:
    r"""Convert an id to a cell of a CSV file that no spreadsheet runs as a formula. An
    apostrophe is put before text that starts like a formula (with :obj:`=`, :obj:`+`,
    :obj:`-`, :obj:`@`, a tab or a new line) or with an apostrophe; remove it when you
    read the file. Numbers such as :obj:`-2` are unchanged."""
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return value
