from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError
from torch_geometric.data import HeteroData
from torch_geometric.transforms import Compose

from pyg_irllrec.cli.split_options import SplitOptions
from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.json_object import parse_json_object

_FORMAT = {'format': 'pyg_irllrec data', 'version': 1}


class DataFolder:
    r"""The folder that ``pyg-irllrec prepare`` writes: interactions and texts, read
    once (:obj:`processed/`), how they are split (:obj:`options.json`), and what a
    language model wrote (:obj:`intents.jsonl`, :obj:`profiles.jsonl`).

    Args:
        path (pathlib.Path): The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.options_path = path / 'options.json'
        self.intents = path / 'intents.jsonl'
        self.profiles = path / 'profiles.jsonl'

    def check_other(self, out: Path) -> None:
        r"""Raise :class:`ValueError` if results are to be written into the data."""
        if out.resolve() == self.path.resolve():
            raise ValueError(
                f'--out must be another folder than DATA, got {out} for both'
            )

    def check_own(self) -> None:
        r"""Raise :class:`ValueError` if the folder is that of a bundle, a run or a
        search."""
        for name in ('bundle.json', 'bundle', 'config.json', 'study.json'):
            if (self.path / name).exists():
                raise ValueError(
                    f'--out must be a folder of data or a new one, got {self.path}, '
                    f'which holds {name}: choose another'
                )

    def open(self) -> InteractionDataset:
        r"""The interactions and texts.

        Raises:
            FileNotFoundError: If there are none.
            ValueError: If they are damaged.
        """
        self.read_options()  # They are written last.
        return InteractionDataset(self.path)

    def read_options(self) -> SplitOptions:
        r"""How the interactions are split.

        Raises:
            FileNotFoundError: If the folder was not prepared to its end.
            ValueError: If they are damaged.
        """
        if not self.options_path.is_file():
            raise FileNotFoundError(
                f'{self.path} must be a folder of pyg-irllrec prepare, got none (no '
                f'{self.options_path.name})'
            )
        try:
            found = parse_json_object(self.options_path.read_bytes())
            known = {name: found.pop(name, None) for name in _FORMAT}
            if known != _FORMAT:
                raise ValueError(f'it must be of {_FORMAT}, got {known}')
            return SplitOptions(**found)
        except (ValueError, ValidationError) as error:
            reason = ' '.join(str(error).split())[:200]
            raise ValueError(
                f'{self.options_path} is damaged: {reason}: prepare the data again'
            ) from None

    def write_options(self, options: SplitOptions) -> None:
        r"""Write how the interactions are split."""
        with atomic_write(self.options_path) as file:
            json.dump({**_FORMAT, **options.model_dump()}, file, indent=2)
            file.write('\n')

    def digest(self, intents: bool, profiles: bool) -> str:
        r"""A hash of the data, of how they are split, and of what a language model
        wrote of them.

        Args:
            intents (bool): Whether intents count, where there are any.
            profiles (bool): Likewise.
        """
        known = [self.open().manifest['files'], self.read_options().model_dump()]
        digest = hashlib.sha256(json.dumps(known).encode())
        for path, counts in ((self.intents, intents), (self.profiles, profiles)):
            if counts and path.is_file():
                digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    def split(self) -> HeteroData:
        r"""The interactions that count, some of them held out."""
        options = self.read_options()
        steps = [*options.keep(), options.hold_out()]
        graph: HeteroData = Compose(steps)(self.open()[0])
        return graph
