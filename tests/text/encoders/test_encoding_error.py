from __future__ import annotations

import numpy as np

from pyg_irllrec.text import EncodingError


def test_rows_and_first_words_are_named():
    texts = ['a', 'a calm\nevening ' + 'x' * 99, 'c']
    vectors = np.zeros((3, 2), np.float32)
    error = EncodingError(texts, {1: 'too\x1blong'}, vectors, '; two are kept')
    assert str(error) == (
        '1 of 3 texts cannot be encoded: change or shorten them; two are kept: row 1, '
        f"'a calm evening {'x' * 45}' (114 characters): too long"
    )
    assert error.reasons == {1: 'too\x1blong'}
    assert error.vectors is vectors


def test_the_first_rows_of_many_are_shown():
    error = EncodingError(['t'] * 9, dict.fromkeys(range(8, -1, -1), 'bad'))
    assert [f'row {row}' in str(error) for row in range(9)] == [True] * 5 + [False] * 4
    assert str(error).endswith('and 4 more')
    assert error.vectors is None
