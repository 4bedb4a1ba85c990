from __future__ import annotations

import sys
import typing
from typing import Annotated

import pytest
from typer import Exit, Option
from typer.testing import CliRunner

from pyg_irllrec import __version__
from pyg_irllrec.cli.app import COMMANDS, app, make_app
from pyg_irllrec.cli.command import Command
from tests.cli.calls import call

NAMES = (
    *('prepare', 'intents', 'train', 'evaluate', 'recommend', 'similar', 'explain'),
    *('serve', 'info'),
)


def ends(how: Annotated[str, Option()] = '') -> None:
    r"""End in the given way."""
    errors = {'bug': TypeError('a bug'), 'stop': KeyboardInterrupt(), 'one': Exit(1)}
    if how in errors:
        raise errors[how]
    if how:
        raise ValueError(f"'how' must not be {how}")


@pytest.mark.parametrize(
    ('how', 'code', 'error'),
    [
        ('', 0, ''),
        ('wrong', 2, 'error: --how must not be wrong\n'),
        ('stop', 130, 'stopped: go on\n'),
        ('one', 1, ''),
    ],
)
def test_how_a_command_ends(how, code, error):
    small = make_app([Command(ends, 'pyg-irllrec ends', {"'how'": '--how'}, 'go on')])
    result = CliRunner().invoke(small, ['ends', '--how', how])
    assert (result.exit_code, result.stderr) == (code, error)


def test_a_bug_is_not_hidden():
    small = make_app([Command(ends, 'pyg-irllrec ends')])
    result = CliRunner().invoke(small, ['ends', '--how', 'bug'])
    assert result.exit_code == 1 and isinstance(result.exception, TypeError)


@pytest.mark.parametrize(
    ('words', 'error'),
    [
        (['trian'], "No such command 'trian'. Did you mean 'train'"),
        (['train'], "Missing argument 'DATA' (see pyg-irllrec train --help)"),
        (['--zzz'], 'No such option: --zzz (see pyg-irllrec --help)'),
        (['evaluate', 'x', '--k', 'many'], "Invalid value for '--k'"),
    ],
)
def test_wrong_calls_get_one_line(words, error, capsys):
    assert call(*words) == 2
    printed = capsys.readouterr()
    assert printed.out == '' and printed.err.startswith(f'error: {error}')
    assert printed.err.count('\n') == 1


def test_help(capsys):
    assert call() == 2
    assert 'Commands:' in capsys.readouterr().err
    assert tuple(each.function.__name__ for each in COMMANDS)[: len(NAMES)] == NAMES
    for command in COMMANDS:
        assert call(command.function.__name__, '--help') == 0
        shown = capsys.readouterr().out
        assert 'Examples:' in shown and command.examples.splitlines()[0] in shown
    assert call('--version') == 0
    assert capsys.readouterr().out == f'pyg-irllrec {__version__}\n'


def test_every_command_accepts_a_config_file():
    for command in COMMANDS:
        names = typing.get_type_hints(command.function)
        assert 'config' in names, command.function


@pytest.mark.parametrize('module', ['typer', 'pydantic', 'yaml'])
def test_without_the_extra(module, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    assert call('--version') == 2
    printed = capsys.readouterr().err
    assert "pip install 'pyg_irllrec[cli]'" in printed and printed.count('\n') == 1


def test_the_application_has_all_commands():
    result = CliRunner().invoke(app, ['--help'])
    assert all(f'  {name} ' in result.stdout for name in NAMES)
