from __future__ import annotations

from pyg_irllrec.cli.table import table


def test_numbers_are_right_aligned_and_text_left_aligned():
    lines = table(['rank', 'title', 'score'], [[1, 'Emma', 0.5], [10, 'Ulysses', 12.0]])
    assert lines == [
        'rank  title      score',
        '   1  Emma      0.5000',
        '  10  Ulysses  12.0000',
    ]


def test_wide_and_combining_characters_are_aligned():
    lines = table(['title', 'score'], [['雪国', 1.0], ['e\u0301te\u0301', 2.0]])
    assert lines == ['title   score', '雪国   1.0000', 'e\u0301te\u0301    2.0000']


def test_control_characters_are_escaped():
    assert table(['title'], [['a\x1b[2J']])[1] == 'a\\x1b[2J'


def test_missing_values_are_blank():
    assert table(['id', 'n'], [['a', None], ['b', 2]]) == ['id  n', 'a', 'b   2']
    assert table(['id', 'n'], []) == ['id  n']
