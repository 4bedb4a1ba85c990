from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_irllrec.utils.clean_id import BLANKS, clean_id


def test_an_id_is_the_same_however_it_is_written():
    assert clean_id(f'{BLANKS}e\u0301 x{BLANKS}') == 'é x'
    assert clean_id('\xa07\u200b') == '7'
    assert clean_id('007') == '007' and clean_id('７') == '７'
    assert clean_id('\u200b') == ''


@given(st.text(max_size=8))
def test_tables_are_cleaned_alike(text):
    pa = pytest.importorskip('pyarrow')
    from pyg_irllrec.datasets._ingest.ids import clean_ids

    cleaned = clean_ids(pa.array([text], pa.large_string()))
    assert cleaned.to_pylist() == [clean_id(text)]
    assert clean_id(clean_id(text)) == clean_id(text)
