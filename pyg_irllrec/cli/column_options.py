r"""The options for tables and their columns. ``prepare`` and ``update`` share them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

from typer import Option


def _separator(text: Optional[str]) -> Optional[str]:
    if text is None:
        return None
    character = '\t' if text == r'\t' else text
    if len(character) != 1:
        raise ValueError(rf'--sep must be one character, or \t for a tab, got {text!r}')
    return character


UserColumn = Annotated[
    Optional[str],
    Option('--user', metavar='COLUMN', help='Column of user ids, numbers or strings.'),
]
ItemColumn = Annotated[
    Optional[str],
    Option('--item', metavar='COLUMN', help='Column of item ids, numbers or strings.'),
]
Items = Annotated[
    Optional[Path],
    Option(
        '--items',
        metavar='FILE',
        help='Table of item texts and titles, in any format of --interactions.',
    ),
]
ItemsId = Annotated[
    Optional[str],
    Option(
        '--items-id',
        metavar='COLUMN',
        show_default='same name as --item',
        help='Column of item ids in the file --items.',
    ),
]
ItemText = Annotated[
    Optional[list[str]],
    Option(
        '--item-text',
        metavar='COLUMN',
        help='Column with the text of an item. Repeat to join several columns.',
    ),
]
Title = Annotated[
    Optional[str],
    Option(
        '--title',
        metavar='COLUMN',
        show_default='first --item-text',
        help='Column with the title of an item, for display.',
    ),
]
Separator = Annotated[
    Optional[str],
    Option(
        '--sep',
        callback=_separator,
        show_default='a tab for .tsv, otherwise a comma',
        help=r'Separator of CSV files: one character, or \t for a tab.',
    ),
]
Encoding = Annotated[
    str, Option('--encoding', help='Encoding of CSV and JSON Lines files.')
]

FORM_OPTIONS = {
    "'sep'": '--sep',
    "'encoding'": '--encoding',
    'pass encoding=': 'pass --encoding ',
}
"""Options of a :class:`~pyg_irllrec.cli.command.Command` that reads tables."""
