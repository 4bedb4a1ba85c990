from __future__ import annotations

from pyg_irllrec.utils.clean_id import clean_id


def test_ids_that_look_alike_are_one():
    for text in (
        'café 1',
        ' café 1 ',
        'cafe\u0301 1\u200b',
        '\ufeffcafé 1\r',
        'café 1\0',
    ):
        assert clean_id(text) == 'café 1'
    assert clean_id('a  b') == 'a  b' and clean_id('007') == '007'
    assert clean_id(' \t') == ''
