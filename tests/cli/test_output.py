from __future__ import annotations

import json

import pytest

from pyg_irllrec.cli.output import Output


@pytest.mark.parametrize('as_json', [False, True])
@pytest.mark.parametrize('quiet', [False, True])
def test_standard_output_contains_only_the_result_as_json(as_json, quiet, capsys):
    output = Output(as_json, quiet)
    output.note('reading \x1b')
    output.result({'k': 3}, ['k is \x1b3'])
    printed = capsys.readouterr()
    if as_json:
        assert json.loads(printed.out) == {'k': 3}
        assert printed.err == ('' if quiet else 'reading \\x1b\n')
    else:
        noted = '' if quiet else 'reading \\x1b\n'
        assert printed == (f'{noted}k is \\x1b3\n', '')
    assert not output.progress  # Not a terminal.
