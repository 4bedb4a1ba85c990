r"""The command lines in the docs and in ``--help`` parse."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from pyg_irllrec.cli.app import COMMANDS, app

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md')))
SHELL = re.compile(r'```sh\n(.*?)```', re.DOTALL)


def commands(text: str) -> list[str]:
    lines = text.replace('\\\n', ' ').splitlines()
    return [line for line in lines if line.startswith('pyg-irllrec ')]


CALLS = {
    *(
        call
        for page in PAGES
        for block in SHELL.findall(page.read_text())
        for call in commands(block)
    ),
    *(call for command in COMMANDS for call in commands(command.examples)),
}


@pytest.mark.parametrize('call', sorted(CALLS))
def test_every_printed_call_parses(call):
    _, name, *words = shlex.split(call.rstrip(' &'), comments=True)
    group = typer.main.get_command(app)
    command = group.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None, name
    command.make_context(name, words)


def test_every_command_is_shown():
    printed = {call.split()[1] for call in CALLS}
    assert printed >= {command.function.__name__ for command in COMMANDS}
