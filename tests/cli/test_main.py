from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from signal import SIGINT, getsignal, raise_signal

import pytest

from pyg_irllrec import __version__
from pyg_irllrec.cli import main as module
from pyg_irllrec.utils import optional
from tests.cli.calls import call


def test_exits_with_the_code_of_the_command(capsys):
    assert call('--version') == 0
    assert __version__ in capsys.readouterr().out
    assert call('info', 'nowhere') == 2


def test_a_missing_extra_is_one_line(capsys, monkeypatch):
    def missing(name, needed_by, extra):
        raise ImportError(f'{needed_by} needs {name}: pip install pyg_irllrec[{extra}]')

    monkeypatch.setattr(optional, 'import_optional', missing)
    with pytest.raises(SystemExit, match='2'):
        module.main(['info', 'x'])
    shown = capsys.readouterr()
    assert shown.err == 'error: pyg-irllrec needs typer: pip install pyg_irllrec[cli]\n'
    assert shown.out == ''


def test_the_doctor_needs_no_extra(capsys, monkeypatch):
    def missing(name, needed_by, extra):
        raise ImportError(name)

    monkeypatch.setattr(optional, 'import_optional', missing)
    assert call('doctor', '--json') == 0
    assert json.loads(capsys.readouterr().out)['pyg_irllrec'] == __version__


def test_an_interruption_during_the_import(capsys, monkeypatch):
    monkeypatch.setattr(os, '_exit', sys.exit)
    monkeypatch.setattr(module, '_import_app', lambda words: raise_signal(SIGINT))
    before = getsignal(SIGINT)
    with pytest.raises(SystemExit, match='130'):
        module.main(['info', 'x'])
    assert capsys.readouterr() == ('', 'stopped\n')
    assert getsignal(SIGINT) is before


def test_torch_is_imported_only_once_ctrl_c_is_handled():
    code = "import sys, pyg_irllrec.cli.main; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.filterwarnings('ignore:.*found in sys.modules:RuntimeWarning')
@pytest.mark.parametrize('name', ['pyg_irllrec', 'pyg_irllrec.cli.main'])
def test_runs_as_a_module(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['python', '--version'])
    with pytest.raises(SystemExit):
        runpy.run_module(name, run_name='__main__')
    assert __version__ in capsys.readouterr().out
