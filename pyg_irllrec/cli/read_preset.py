from __future__ import annotations

import json
from pathlib import Path

from pyg_irllrec.presets import Preset
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.json_object import parse_json_object

_TUNED = 'tuned.json'


def write_tuned(out: Path, backbone: str, alignment: str) -> None:
    r"""Write beside a preset what it was tuned with."""
    with atomic_write(out / _TUNED) as file:
        json.dump({'backbone': backbone, 'alignment': alignment}, file)


def check_tuned(path: Path, backbone: str, alignment: str) -> None:
    r"""Raise :class:`ValueError` if a preset was tuned with something else."""
    tuned = path.with_name(_TUNED)
    if not tuned.is_file():
        return
    found = parse_json_object(tuned.read_bytes())
    for name, value in (('backbone', backbone), ('alignment', alignment)):
        if found.get(name) != value:
            raise ValueError(
                f'--preset {path} was tuned with --{name} {found.get(name)}: give the '
                f'same, got {value}'
            )


def read_preset(path: Path, usual: Preset) -> Preset:
    r"""Hyper-parameters from a file that ``pyg-irllrec tune`` has written.

    Args:
        path (pathlib.Path): The file.
        usual (dict): The hyper-parameters that are taken without it: it holds the same
            parts, and for loops the same arguments. Those of a model are checked when
            the model is built.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it holds something else.
    """
    try:
        found = parse_json_object(path.read_bytes())
    except OSError as error:
        raise OSError(f'--preset {path} cannot be read: {error.strerror}') from None
    except ValueError as error:
        raise ValueError(f'--preset {path} must hold JSON: {error}') from None
    for part, arguments in found.items():
        if part not in usual or not isinstance(arguments, dict):
            raise ValueError(
                f'--preset {path} must hold arguments by the parts {", ".join(usual)}, '
                f'as pyg-irllrec tune writes them, got {part!r}'
            )
        unknown = sorted(set(arguments) - set(usual[part]))
        if part in ('data', 'fit') and unknown:
            raise ValueError(
                f'--preset {path} must hold for {part!r} some of '
                f'{", ".join(usual[part])}, got {unknown[0]!r}'
            )
    return {part: found.get(part, usual[part]) for part in usual}
