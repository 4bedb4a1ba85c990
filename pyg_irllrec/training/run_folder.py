from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Optional

from pyg_irllrec.training._run_lock import close_folder, open_folder
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import as_path, check_flag
from pyg_irllrec.utils.files import atomic_write, free_path
from pyg_irllrec.utils.folder_lock import FolderLock
from pyg_irllrec.utils.json_object import parse_json_object

RESULTS = ('last.ckpt', 'best.ckpt', 'history.csv', 'metrics.json')
"""The files that :func:`~pyg_irllrec.training.fit` writes."""

LOGS = ('csv', 'tensorboard')
"""The folders of its loggers."""


class RunFolder:
    r"""The folder of a training run, with its configuration, :obj:`config.json`, and
    the files of :func:`~pyg_irllrec.training.fit`. An earlier run is moved aside, never
    overwritten. A folder that another process or thread is using raises an error.

    Args:
        path (str or pathlib.Path): The folder. It need not exist.

    Attributes:
        path (pathlib.Path): The absolute path, without symbolic links.

    Example:
        >>> from pyg_irllrec.training import RunFolder
        >>> run = RunFolder('runs/mine')
        >>> run.open({'seed': 0, 'backbone': 'sgl'}, resume=True)
        >>> run.read_config()
        {'seed': 0, 'backbone': 'sgl'}
        >>> run.has_checkpoint  # fit(model, data, run.path, resume=run.has_checkpoint)
        False
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(os.path.realpath(as_path('path', path)))
        self.config_path = self.path / 'config.json'
        self.best_path = self.path / 'best.ckpt'

    @property
    def has_checkpoint(self) -> bool:
        r"""Whether there is a checkpoint to resume from. A run that was killed before
        its first checkpoint starts over."""
        return (self.path / 'last.ckpt').is_file()

    @property
    def has_results(self) -> bool:
        r"""Whether a run has written anything beside its configuration."""
        return any((self.path / name).exists() for name in RESULTS)

    def open(
        self,
        config: Mapping[str, Any],
        resume: bool = False,
        places: Collection[str] = (),
    ) -> Optional[Path]:
        r"""Begin a run, or resume the run in the folder.

        If that run was killed before it wrote its configuration, there is nothing to
        resume, and :obj:`resume=True` begins a new run.

        Args:
            config (dict): The configuration, in JSON types or paths, which become
                absolute.
            resume (bool): Whether to resume the run in the folder.
                (default: :obj:`False`)
            places (collection of str): The names in :obj:`config` whose values are the
                locations of files. They may differ when the run is resumed;
                :obj:`config.json` is then updated. (default: :obj:`()`)

        Returns:
            The path to which an earlier run was moved, or :obj:`None`.

        Raises:
            ValueError: If the run to resume has another configuration or is damaged, or
                the folder holds something other than a run.
            OSError: If another run is using the folder, or it cannot be written to.
        """
        check_flag('resume', resume)
        config = _as_json(config)
        lock = open_folder(self.path)
        try:
            return self._open(config, resume, places, lock)
        except BaseException:
            close_folder(self.path)
            raise

    def _open(
        self,
        config: dict[str, Any],
        resume: bool,
        places: Collection[str],
        lock: FolderLock,
    ) -> Optional[Path]:
        if resume and self.config_path.is_file():
            self._check_same(config, places)
            # A run that was killed between its first two checkpoints starts over.
            if self.has_checkpoint or not self.has_results:
                if any(self.read_config()[name] != config[name] for name in places):
                    self._write(config)
                return None
        if resume and self.has_checkpoint:
            raise ValueError(
                f'{self.path} must hold config.json beside its checkpoints to be '
                'resumed, got none: restore it, or begin a new run without resume'
            )
        aside = self._move_aside(lock)
        self._write(config)
        return aside

    def _write(self, config: dict[str, Any]) -> None:
        with atomic_write(self.config_path) as file:
            json.dump(config, file, indent=2)
            file.write('\n')

    def read_config(self) -> dict[str, Any]:
        r"""Return the configuration of the run in the folder.

        Raises:
            FileNotFoundError: If there is no :obj:`config.json`.
            ValueError: If :obj:`config.json` is damaged.
        """
        if not self.config_path.is_file():
            raise FileNotFoundError(f'{self.path} holds no run: it has no config.json')
        try:
            return parse_json_object(self.config_path.read_bytes())
        except ValueError as error:
            raise ValueError(f'{self.config_path} is damaged: {error}') from None

    def _check_same(self, config: dict[str, Any], places: Collection[str]) -> None:
        before = self.read_config()
        for name in {**before, **config}:
            placed = name in places and name in before and name in config
            if not placed and before.get(name) != config.get(name):
                raise ValueError(
                    f'{self.path} was begun with {name}={before.get(name)!r}: resume '
                    f'it with the same, got {name}={config.get(name)!r}'
                )

    def _move_aside(self, lock: FolderLock) -> Optional[Path]:
        if not (self.config_path.exists() or self.has_results):
            return None
        self._check_own()
        aside = free_path(self.path)
        lock.move_folder(aside)
        return aside

    def _check_own(self) -> None:
        r"""Raise a :class:`ValueError` if the files are not those of a run: many
        programs write a :obj:`config.json`, but few write checkpoints beside it."""
        if self.has_checkpoint or self.best_path.is_file():
            return
        own = (self.config_path.name, *RESULTS, *LOGS)
        names = sorted(path.name for path in self.path.iterdir())
        other = [name for name in names if name not in own and name[0] != '.']
        if other:
            raise ValueError(
                f'{self.path} must be empty or hold a run, got {other[0]} and no '
                'checkpoint: choose another folder'
            )

    def __repr__(self) -> str:
        return f'{type(self).__name__}({str(self.path)!r})'


def _as_json(config: Mapping[str, Any]) -> dict[str, Any]:
    r"""Return the configuration as it is read back from JSON."""

    def absolute(value: object) -> str:
        if isinstance(value, Path):
            return str(value.resolve())
        raise TypeError(f'got a {type(value).__name__}')

    try:
        text = json.dumps(dict(config), default=absolute, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"'config' must be a dictionary of values in JSON types, or paths: {error}"
        ) from None
    return dict(json.loads(text))
