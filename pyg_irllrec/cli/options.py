r"""The options that several commands have: one name, one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Optional

import torch
from typer import Argument, BadParameter, Option

from pyg_irllrec.cli.read_config import use_config


def _set_threads(threads: Optional[int]) -> Optional[int]:
    if threads is not None:
        torch.set_num_threads(threads)
    return threads


def parse_out(text: str) -> Path:
    r"""The path of ``--out``. That of no letters would be the working folder: most
    often a variable of the shell that is not set."""
    if not text.strip():
        raise BadParameter(f'name a file or a folder, got {text!r}')
    return Path(text)


DataArgument = Annotated[
    Path, Argument(metavar='DATA', help='A folder of pyg-irllrec prepare.')
]
BundleArgument = Annotated[
    Path,
    Argument(metavar='BUNDLE', help='A bundle, or the run that it lies in.'),
]
K = Annotated[int, Option('--k', min=1, help='Items per user.')]
Json = Annotated[bool, Option('--json', help='Print one JSON object.')]
Quiet = Annotated[bool, Option('--quiet', '-q', help='Print results only.')]
Seed = Annotated[int, Option('--seed', help='Of all that is drawn at random.')]
Device = Annotated[str, Option('--device', help='auto, cpu, cuda or cuda:N.')]
Index = Annotated[
    Literal['exact', 'faiss'],
    Option('--index', help='faiss: an approximation for many items and users.'),
]
Threads = Annotated[
    Optional[int],
    Option(
        '--threads',
        min=1,
        callback=_set_threads,
        show_default='all cores',
        help='Threads of torch.',
    ),
]
Config = Annotated[
    Optional[Path],
    Option(
        '--config',
        metavar='FILE',
        is_eager=True,
        callback=use_config,
        help='YAML or JSON with options by their names; those that are typed win.',
    ),
]
