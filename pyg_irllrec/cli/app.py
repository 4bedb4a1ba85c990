r"""All commands in one typer application. Only :mod:`pyg_irllrec.cli.main` imports this
module, because typer is an optional dependency."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import wraps
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperGroup

from pyg_irllrec import __version__
from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.commands import (
    doctor,
    evaluate,
    explain,
    info,
    intents,
    prepare,
    recommend,
    serve,
    similar,
    train,
    tune,
    update,
)
from pyg_irllrec.cli.run_command import run_command

COMMANDS: tuple[Command, ...] = (
    prepare.command,
    intents.command,
    train.command,
    evaluate.command,
    recommend.command,
    similar.command,
    explain.command,
    serve.command,
    info.command,
    tune.command,
    update.command,
    doctor.command,
)
"""All commands, in the order in which ``--help`` lists them."""

# Click's class in older versions of typer; newer ones ship their own copy of click.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class _Group(TyperGroup):
    r"""Report a wrong call in one line, without the usage text."""

    def main(  # type: ignore[override]
        self,
        args: Optional[Sequence[str]] = None,
        prog_name: Optional[str] = None,
        **extra: Any,
    ) -> None:
        extra['standalone_mode'] = False
        code = None

        def dispatch() -> None:
            nonlocal code
            try:
                code = super(_Group, self).main(args, prog_name, **extra)
            except UsageError as error:
                raise ValueError(_one_line(error)) from None

        sys.exit(run_command(dispatch) or code)


def _one_line(error: Any) -> str:
    path = error.ctx.command_path if error.ctx else 'pyg-irllrec'
    text = error.format_message().rstrip('.').replace('Value error, ', '')
    if choice := re.search(r": '(.*)' is not one of (.*)", text):
        near = get_close_matches(choice[1], re.findall("'(.*?)'", choice[2]), 1)
        text += f'. Did you mean {near[0]!r}?' if near else ''
    return f'{text} (see {path} --help)'


def _exiting(command: Command) -> Callable[..., None]:
    r"""Wrap the function of a command so that it ends with an exit code."""

    @wraps(command.function)
    def function(**options: Any) -> None:
        code = run_command(
            lambda: command.function(**options),
            command.hint,
            command.options,
            quiet=bool(options.get('quiet')),
        )
        raise typer.Exit(code)

    return function


def make_app(commands: Sequence[Command]) -> typer.Typer:
    r"""Build an application from commands."""
    built = typer.Typer(
        name='pyg-irllrec',
        cls=_Group,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={'help_option_names': ['-h', '--help']},
    )
    built.callback(invoke_without_command=True)(_no_command)
    for each in commands:
        epilog = f'\b\nExamples:\n{each.examples}'
        built.command(epilog=epilog)(_exiting(each))
    return built


def _no_command(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option('--version', help='Print the version.')
    ] = False,
) -> None:
    r"""Recommend by intents: from two tables to a running service."""
    if version:
        print(f'pyg-irllrec {__version__}')
    elif ctx.invoked_subcommand is None:
        print(ctx.get_help(), file=sys.stderr)
        raise typer.Exit(2)


app = make_app(COMMANDS)
