from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from pyg_irllrec.utils.spreadsheet_cell import spreadsheet_cell


def test_formulas_become_text():
    for text in ('=cmd()', '+1', '-2', '@x', '\t=1', '\r=1', ' =1', '"=1"', '＝1'):
        assert spreadsheet_cell(text) == f"'{text}", text
    for value in ('anna', '0195153448', '1=2', 'a-b', '', 'x@y', -2, 7):
        assert spreadsheet_cell(value) == value
    assert spreadsheet_cell("'quoted") == "''quoted"


@given(st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0')))
def test_a_program_reads_ids_back(text):
    file = io.StringIO(newline='')
    csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator='\n').writerow(
        [spreadsheet_cell(text), 1]
    )
    file.seek(0)
    ((cell, _),) = csv.reader(file)
    assert cell[:1] not in set('=+-@\t\r\n')
    assert (cell[1:] if cell.startswith("'") else cell) == text
