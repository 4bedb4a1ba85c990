from __future__ import annotations

import time

import pytest

from pyg_irllrec.utils.json_object import parse_json_object


def test_objects():
    expected = {'a': [1, {'b': None}], 'ü': -2.5e3}
    text = '{"a": [1, {"b": null}], "ü": -2.5e3}'
    assert parse_json_object(text) == expected
    assert parse_json_object(text.encode()) == expected


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('null', 'must hold a JSON object, got null'),
        ('[1]', 'must hold a JSON object, got a list'),
        ('3', 'must hold a JSON object, got a int'),
        ('', 'Expecting value'),
        ('{"a": 1', 'Expecting'),
        ('{"a": 1} x', 'Extra data'),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the name 'c' twice"),
        ('{"a": NaN}', 'holds NaN'),
        ('{"a": -Infinity}', 'holds -Infinity'),
        ('{"a": 1e999}', 'holds 1e999, which is not finite'),
        ('{"a": ' * 10**5 + '1' + '}' * 10**5, 'nested too deeply'),
        ('[' * 10**5, 'nested too deeply'),
        (b'{"a": "\xff"}', "can't decode"),
    ],
)
def test_invalid_objects(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json_object(text)


def test_a_million_digits():
    try:
        parse_json_object('{"a": ' + '9' * 10**5 + '}')
    except ValueError as error:  # Python 3.10.7 and later have a limit.
        assert 'limit' in str(error)


def test_a_name_twice_among_many_is_found_in_linear_time():
    names = ', '.join(f'"{k}": 1' for k in range(100_000))
    start = time.monotonic()
    with pytest.raises(ValueError, match="has the name 'x' twice"):
        parse_json_object(f'{{{names}, "x": 1, "x": 2}}')
    assert time.monotonic() - start < 5
