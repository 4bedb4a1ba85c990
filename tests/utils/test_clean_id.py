from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyg_irllrec.utils.clean_id import BLANKS, clean_id, id_fault


def test_an_id_is_the_same_in_any_notation():
    assert clean_id(f'{BLANKS}e\u0301 x{BLANKS}') == 'é x'
    assert clean_id('\xa07\u200b') == '7'
    assert clean_id('007') == '007' and clean_id('７') == '７'
    assert clean_id('\u200b') == ''


@pytest.mark.parametrize(
    ('text', 'cleaned'),
    [
        (' 7.00 ', '7'), ('-3.0', '-3'), ('0.0', '0'), ('-0.0', '0'), ('1.10', '1.10'),
        ('01.0', '01.0'), ('7.', '7.'), ('+7.0', '+7.0'), ('1.0.0', '1.0.0'),
        (f'{2**53 - 1}.0', f'{2**53 - 1}'), (f'{2**53}.0', f'{2**53}.0'),
    ],
)  # fmt: skip
def test_an_integer_written_as_a_float(text, cleaned):
    assert clean_id(text) == cleaned


@pytest.mark.parametrize(
    ('text', 'fault'),
    [
        ('', 'lacks an id'),
        ('NULL', 'lacks an id'),
        ('a\nb', 'line break'),
        ('a\rb', 'line break'),
        ('9.78E+12', 'lost digits'),
        (f'{2**53}.0', 'lost digits'),
        ('9' * 5000 + '.0', 'lost digits'),
    ],
)
def test_invalid_ids(text, fault):
    assert fault in id_fault(text)
    assert id_fault('null and void') is id_fault('1e3') is id_fault('7') is None


@given(
    st.one_of(
        st.text(max_size=8), st.from_regex(r'-?[0-9]{1,17}(\.0+)?', fullmatch=True)
    )
)
def test_tables_are_cleaned_alike(text):
    pa = pytest.importorskip('pyarrow')
    from pyg_irllrec.datasets._ingest.ids import clean_ids

    def fail(reason, place):
        raise ValueError(reason)

    assert clean_id(clean_id(text)) == clean_id(text)
    ids = pa.array([text], pa.large_string())
    if fault := id_fault(clean_id(text)):
        with pytest.raises(ValueError) as caught:
            clean_ids(ids, fail)
        assert str(caught.value) == fault
    else:
        assert clean_ids(ids, fail).to_pylist() == [clean_id(text)]
