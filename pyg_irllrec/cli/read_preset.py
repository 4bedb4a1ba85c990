from __future__ import annotations

import json
from pathlib import Path

from pyg_irllrec.presets import Preset
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.json_object import parse_json_object

_TUNED = 'tuned.json'


def write_tuned(out: Path, backbone: str, alignment: str, texts: bool) -> None:
    r"""Record the options of a search that its preset depends on next to the preset."""
    with atomic_write(out / _TUNED) as file:
        json.dump({'backbone': backbone, 'alignment': alignment, 'texts': texts}, file)


def check_tuned(path: Path, backbone: str, alignment: str, texts: bool) -> None:
    r"""Raise a :class:`ValueError` if a preset was tuned with another backbone or
    alignment, or only one of both used texts."""
    tuned = path.with_name(_TUNED)
    if not tuned.is_file():
        return
    found = parse_json_object(tuned.read_bytes())
    given = {'backbone': backbone, 'alignment': alignment, 'texts': texts}
    for name, value in given.items():
        if found.get(name, value) != value:
            raise ValueError(
                f'--preset {path} was tuned with {_option(name, found[name])}, got '
                f'{_option(name, value)}: use the same'
            )


def _option(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f'--{name}' if value else f'--no-{name}'
    return f'--{name} {value}'


def read_preset(path: Path, default: Preset) -> Preset:
    r"""Read hyper-parameters from a file that ``pyg-irllrec tune`` wrote.

    Args:
        path (pathlib.Path): The file.
        default (dict): The hyper-parameters without the file. They are used for parts
            that the file lacks, and define the allowed parts and the allowed arguments
            of :obj:`"data"` and :obj:`"fit"`. The arguments of a model are checked when
            the model is built.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If the file contains anything else.
    """
    try:
        found = parse_json_object(path.read_bytes())
    except OSError as error:
        raise OSError(f'--preset {path} cannot be read: {error.strerror}') from None
    except ValueError as error:
        raise ValueError(f'--preset {path} must be JSON: {error}') from None
    for part, arguments in found.items():
        if part not in default or not isinstance(arguments, dict):
            raise ValueError(
                f'--preset {path} must map {", ".join(default)} to arguments, as '
                f'pyg-irllrec tune writes them, got {part!r}'
            )
        unknown = sorted(set(arguments) - set(default[part]))
        if part in ('data', 'fit') and unknown:
            raise ValueError(
                f'--preset {path} must have arguments of {part!r} among '
                f'{", ".join(default[part])}, got {unknown[0]!r}'
            )
    return {part: found.get(part, default[part]) for part in default}
