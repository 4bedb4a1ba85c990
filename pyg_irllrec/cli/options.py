r"""The options that several commands share."""

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
    r"""Parse the path of ``--out``. An empty string is rejected: it would be the
    working folder, and usually comes from an unset shell variable."""
    if not text.strip():
        raise BadParameter(f'must be the path of a file or folder, got {text!r}')
    return Path(text)


DataArgument = Annotated[
    Path, Argument(metavar='DATA', help='Folder that pyg-irllrec prepare wrote.')
]
BundleArgument = Annotated[
    Path,
    Argument(
        metavar='BUNDLE', help='Folder of a bundle, or of a run that contains one.'
    ),
]
K = Annotated[int, Option('--k', min=1, help='Length of each ranking.')]
Json = Annotated[bool, Option('--json', help='Print the result as one JSON object.')]
Quiet = Annotated[
    bool,
    Option('--quiet', '-q', help='Print only the result: no notes, no progress bars.'),
]
Seed = Annotated[int, Option('--seed', help='Seed of all random draws.')]
Device = Annotated[
    str, Option('--device', help='Device to compute on: auto, cpu, cuda or cuda:N.')
]
Index = Annotated[
    Literal['exact', 'faiss'],
    Option(
        '--index',
        help='Search: exact, or approximate with faiss, for many items and users.',
    ),
]
Threads = Annotated[
    Optional[int],
    Option(
        '--threads',
        min=1,
        callback=_set_threads,
        show_default='all cores',
        help='Number of CPU threads.',
    ),
]
Config = Annotated[
    Optional[Path],
    Option(
        '--config',
        metavar='FILE',
        is_eager=True,
        callback=use_config,
        help='YAML or JSON file with options by name. The command line overrides it.',
    ),
]
