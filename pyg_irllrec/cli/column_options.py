r"""The options that name files and columns of tables: one name, one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

from typer import Option


def _separator(text: str) -> str:
    character = '\t' if text == r'\t' else text
    if len(character) != 1:
        raise ValueError(rf'--sep must be one character, or \t for a tab, got {text!r}')
    return character


UserColumn = Annotated[
    Optional[str],
    Option('--user', metavar='COLUMN', help='Ids of users, numbers or texts.'),
]
ItemColumn = Annotated[
    Optional[str], Option('--item', metavar='COLUMN', help='Ids of items, likewise.')
]
Items = Annotated[
    Optional[Path],
    Option('--items', metavar='FILE', help='Texts and titles of items.'),
]
ItemsId = Annotated[
    Optional[str],
    Option(
        '--items-id',
        metavar='COLUMN',
        show_default='as --item',
        help='Ids of items in --items.',
    ),
]
ItemText = Annotated[
    Optional[list[str]],
    Option(
        '--item-text',
        metavar='COLUMN',
        help='Joined to the text of an item; once for each column.',
    ),
]
Title = Annotated[
    Optional[str],
    Option(
        '--title',
        metavar='COLUMN',
        show_default='the first of --item-text',
        help='What people are shown.',
    ),
]
Separator = Annotated[
    str,
    Option('--sep', callback=_separator, help=r'The separator of CSV files, or \t.'),
]
Encoding = Annotated[str, Option('--encoding', help='Of CSV files and JSON lines.')]
