from __future__ import annotations

import warnings

import pytest

from pyg_irllrec.cli.run_command import run_command


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
