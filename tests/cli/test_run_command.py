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


def test_prints_what_is_wrong_in_one_line(capsys):
    assert run_command(lambda: print('done')) == 0
    assert capsys.readouterr() == ('done\n', '')
    for error in (ValueError('no'), FileNotFoundError('no'), ImportError('no')):
        assert run_command(lambda: fail(error)) == 2  # noqa: B023
        assert capsys.readouterr() == ('', 'error: no\n')
    with pytest.raises(TypeError):  # A mistake of the program, not of its user.
        run_command(lambda: fail(TypeError('no')))


def test_an_interruption_names_the_way_to_continue(capsys):
    assert run_command(lambda: fail(KeyboardInterrupt()), 'use --resume') == 130
    assert run_command(lambda: fail(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == 'stopped: use --resume\nstopped\n'


def test_a_file_that_cannot_be_written_names_the_way_to_continue(capsys):
    assert run_command(lambda: fail(WriteError('no space')), 'use --resume') == 2
    assert run_command(lambda: fail(OSError('no')), 'use --resume') == 2
    assert capsys.readouterr().err == 'error: no space: use --resume\nerror: no\n'


def test_prints_nothing_that_a_terminal_acts_on(capsys):
    def work() -> None:
        warnings.warn('\x1b[2Jcold', stacklevel=1)
        raise ValueError('a\nb\u202ec')

    with warnings.catch_warnings():
        warnings.simplefilter('always')
        assert run_command(work) == 2
    shown = 'note: \\x1b[2Jcold\nerror: a\\nb\\u202ec\n'
    assert capsys.readouterr().err == shown


def test_arguments_are_called_by_their_options(capsys):
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


def test_a_terminal_without_the_letters_of_a_title(monkeypatch):
    screen = io.BytesIO()
    stream = io.TextIOWrapper(screen, encoding='ascii')
    monkeypatch.setattr(sys, 'stdout', stream)
    assert run_command(lambda: print('Æsop')) == 0
    stream.flush()
    assert screen.getvalue() == b'\\xc6sop\n'


def test_warnings_are_notes_and_only_here(capsys):
    def work() -> None:
        warnings.warn('3 items are cold', stacklevel=1)
        warnings.warn('Sparse CSR tensor support is in beta state', stacklevel=1)

    show = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter('always')
        assert run_command(work) == 0
    assert capsys.readouterr().err == 'note: 3 items are cold\n'
    assert warnings.showwarning is show


def test_nobody_reads_on(monkeypatch, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, 'w') as stream:
        monkeypatch.setattr(sys, 'stdout', stream)
        assert run_command(lambda: print('a' * 100_000)) == 141
        print('the rest goes nowhere')
    assert capsys.readouterr().err == ''


def test_nobody_listens_at_all(monkeypatch):
    monkeypatch.setattr(sys, 'stdout', None)  # As Python does for `>&-`.
    assert run_command(lambda: print('a')) == 0
