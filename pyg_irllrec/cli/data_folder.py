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
    r"""The folder that ``pyg-irllrec prepare`` writes: the interactions and texts
    (:obj:`processed/`) and the options of their split (:obj:`options.json`).
    ``pyg-irllrec intents`` adds :obj:`intents.jsonl` and :obj:`profiles.jsonl`.

    Args:
        path (pathlib.Path): The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.options_path = path / 'options.json'
        self.intents = path / 'intents.jsonl'
        self.profiles = path / 'profiles.jsonl'

    def check_differs_from(self, out: Path) -> None:
        r"""Raise a :class:`ValueError` if results would be written into this folder."""
        if out.resolve() == self.path.resolve():
            raise ValueError(
                f'--out and DATA must be different folders, got {out} for both'
            )

    def check_replaceable(self) -> None:
        r"""Raise a :class:`ValueError` if the folder contains a bundle, a run or a
        search, which ``prepare`` must not overwrite."""
        for name in ('bundle.json', 'bundle', 'config.json', 'study.json'):
            if (self.path / name).exists():
                raise ValueError(
                    f'--out must be a new folder, or one that prepare wrote, got '
                    f'{self.path}, which contains {name}: choose another folder'
                )

    def open(self) -> InteractionDataset:
        r"""Open the interactions and texts.

        Raises:
            FileNotFoundError: If ``prepare`` has not written the folder, or not
                finished.
            ValueError: If a file is damaged.
        """
        self.read_options()  # Written last: without it, prepare has not finished.
        return InteractionDataset(self.path)

    def read_options(self) -> SplitOptions:
        r"""Read the options of the split.

        Raises:
            FileNotFoundError: If ``prepare`` has not written the folder, or not
                finished.
            ValueError: If the file is damaged.
        """
        if not self.options_path.is_file():
            raise FileNotFoundError(
                f'{self.path} must be a folder that pyg-irllrec prepare wrote, '
                f'{self._found()}'
            )
        try:
            found = parse_json_object(self.options_path.read_bytes())
            version = {name: found.pop(name, None) for name in _FORMAT}
            if version != _FORMAT:
                raise ValueError(f'it must have {_FORMAT}, got {version}')
            return SplitOptions(**found)
        except (ValueError, ValidationError) as error:
            reason = ' '.join(str(error).split())[:200]
            raise ValueError(
                f'{self.options_path} is damaged: {reason}: prepare the data again'
            ) from None

    def _found(self) -> str:
        r"""What the path is instead, and how to write data."""
        if self.path.is_file():
            return (
                f'got a file: pyg-irllrec prepare --interactions {self.path} --out DATA'
            )
        if not self.path.exists():
            return f'got no folder: pyg-irllrec prepare --out {self.path} writes it'
        return f'but it has no {self.options_path.name}: run prepare with another --out'

    def write_options(self, options: SplitOptions) -> None:
        r"""Write the options of the split."""
        with atomic_write(self.options_path) as file:
            json.dump({**_FORMAT, **options.model_dump()}, file, indent=2)
            file.write('\n')

    def digest(self, intents: bool, profiles: bool) -> str:
        r"""Return a hash of the data, the options of the split and the written texts.

        Args:
            intents (bool): Whether to include the intents, if there are any.
            profiles (bool): Whether to include the profiles, if there are any.
        """
        hashed = [self.open().manifest['files'], self.read_options().model_dump()]
        digest = hashlib.sha256(json.dumps(hashed).encode())
        for path, is_read in ((self.intents, intents), (self.profiles, profiles)):
            if is_read and path.is_file():
                digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    def split(self) -> HeteroData:
        r"""Read the data, filter the interactions and split them."""
        options = self.read_options()
        steps = [*options.filters(), options.hold_out()]
        graph: HeteroData = Compose(steps)(self.open()[0])
        return graph
