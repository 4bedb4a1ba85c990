from __future__ import annotations

import pytest

from tests.cli.calls import call


@pytest.mark.parametrize('command', ['prepare', 'update'])
def test_a_separator_must_be_one_character(command, capsys):
    first = ['--out', 'data'] if command == 'prepare' else ['bundle']
    wrong = [command, *first, '--interactions', 'a.csv', '--sep', ';;']
    assert call(*wrong) == 2
    assert capsys.readouterr().err.startswith('error: --sep must be one character')
