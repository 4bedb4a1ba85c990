from __future__ import annotations

import io
import os
import sys
import warnings

import pytest

from pyg_irllrec.cli.run_command import run_command
from pyg_irllrec.utils.files import WriteError


def fail(error: BaseException) -> None:
    raise error


def test_wrong_input_is_one_line(capsys):
    assert run_command(lambda: print('done')) == 0
    assert capsys.readouterr() == ('done\n', '')
    for error in (ValueError('no'), FileNotFoundError('no'), ImportError('no')):
        assert run_command(lambda: fail(error)) == 2  # noqa: B023
        assert capsys.readouterr() == ('', 'error: no\n')
    with pytest.raises(TypeError):  # A bug, not wrong input.
        run_command(lambda: fail(TypeError('no')))


def test_an_interruption_prints_how_to_continue(capsys):
    assert run_command(lambda: fail(KeyboardInterrupt()), 'use --resume') == 130
    assert run_command(lambda: fail(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == 'stopped: use --resume\nstopped\n'


def test_a_failed_write_prints_how_to_continue(capsys):
    assert run_command(lambda: fail(WriteError('no space')), 'use --resume') == 2
    assert run_command(lambda: fail(OSError('no')), 'use --resume') == 2
    assert capsys.readouterr().err == 'error: no space: use --resume\nerror: no\n'


def test_control_characters_are_escaped(capsys):
    def work() -> None:
        warnings.warn('\x1b[2Jcold', stacklevel=1)
        raise ValueError('a\nb\u202ec')

    with warnings.catch_warnings():
        warnings.simplefilter('always')
        assert run_command(work) == 2
        shown = 'note: \\x1b[2Jcold\nerror: a\\nb\\u202ec\n'
        assert capsys.readouterr().err == shown
        assert run_command(work, quiet=True) == 2
    assert capsys.readouterr().err == 'error: a\\nb\\u202ec\n'


def test_arguments_are_replaced_by_options(capsys):
    names = {"'k'": '--k-core', "'k_item'": '--k-core', ' (cold)': ''}

    def work() -> None:
        warnings.warn("3 are kept (cold): pass 'k' or 'k'", stacklevel=1)
        raise ValueError("'k' = 1 and 'k_item' = 'k' leave, got 'k'")

    with warnings.catch_warnings():
        warnings.simplefilter('always')
        assert run_command(work, options=names) == 2
    assert capsys.readouterr().err == (
        "note: 3 are kept: pass --k-core or 'k'\n"
        "error: --k-core = 1 and --k-core = 'k' leave, got 'k'\n"
    )


def test_letters_that_the_terminal_lacks_are_escaped(monkeypatch):
    screen = io.BytesIO()
    stream = io.TextIOWrapper(screen, encoding='ascii')
    monkeypatch.setattr(sys, 'stdout', stream)
    assert run_command(lambda: print('Æsop')) == 0
    stream.flush()
    assert screen.getvalue() == b'\\xc6sop\n'


def test_warnings_are_printed_as_notes(capsys):
    def work() -> None:
        warnings.warn('3 items are cold', stacklevel=1)

    show = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter('always')
        assert run_command(work) == 0
    assert capsys.readouterr().err == 'note: 3 items are cold\n'
    assert warnings.showwarning is show


def test_a_closed_pipe(monkeypatch, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, 'w') as stream:
        monkeypatch.setattr(sys, 'stdout', stream)
        assert run_command(lambda: print('a' * 100_000)) == 141
        print('the rest goes nowhere')
    assert capsys.readouterr().err == ''


def test_a_closed_standard_output(monkeypatch):
    monkeypatch.setattr(sys, 'stdout', None)  # As Python does with `>&-`.
    assert run_command(lambda: print('a')) == 0
