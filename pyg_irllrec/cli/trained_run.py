r"""The runs of :obj:`examples/own_data.py` and :obj:`examples/irllrec.py`: how they are
laid out, and how a trained model is read from one."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.assemble import build_model, choose_preset
from pyg_irllrec.cli.data_options import (
    CHOICES,
    FILES,
    check_same_options,
    make_graph,
    read_dataset,
)
from pyg_irllrec.cli.load_dataset import load_dataset
from pyg_irllrec.cli.training_options import preset_by_name, required_texts
from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.nn import Recommender
from pyg_irllrec.text.intents.intent_file import (
    check_path,
    manifest_path,
    read_manifest,
)
from pyg_irllrec.training import RunFolder, load_weights
from pyg_irllrec.training.fingerprint import BUILD_ALIKE
from pyg_irllrec.utils import map_interactions
from pyg_irllrec.utils.files import atomic_write, free_path

OWN_RUN_RESULTS = ('metrics.json', 'recommendations.csv', 'recommendations.json')
"""What a run on own data ends with, beside its model."""

_MODEL = ('backbone', 'alignment', 'translation', 'seed')
_HASHES = {'intents': 'intents_sha256', 'profiles': 'profiles_sha256'}
"""The names of the hashes of what a language model wrote."""


class TrainedRun(NamedTuple):
    r"""A trained model and its graph."""

    model: Recommender
    """The model, with the best weights."""
    data: HeteroData
    """The graph that it was trained on."""
    exclude: Tensor
    """The interactions that are not to be recommended, of shape :math:`(2, E)`."""


class OwnRunPaths(NamedTuple):
    r"""Where a run on a user's own data keeps what."""

    data: Path
    """The interactions and texts, read once."""
    intents: Path
    """The intents that it was trained with, if any."""
    profiles: Path
    """The profiles by a language model, if any."""
    model: Path
    """The folder of the training run."""


def own_run_paths(folder: Path) -> OwnRunPaths:
    r"""The paths within the folder of a run on own data."""
    return OwnRunPaths(
        folder / 'data',
        folder / 'intents.jsonl',
        folder / 'profiles.jsonl',
        folder / 'model',
    )


def own_run_config(args: argparse.Namespace) -> dict[str, Any]:
    r"""What a run on own data must be resumed with."""
    names = (*CHOICES, *_MODEL)
    config = {name: getattr(args, name) for name in names}
    hashes = {_HASHES[what]: hash_extracted(getattr(args, what)) for what in _HASHES}
    return config | hashes


def hash_extracted(path: Optional[Path]) -> Optional[str]:
    r"""The hash of a file of intents or profiles, as its manifest has it.

    Raises:
        FileNotFoundError: If there is no manifest.
        ValueError: If it is damaged, or :obj:`path` does not end in :obj:`.jsonl`.
    """
    if path is None:
        return None
    found = read_manifest(check_path(path)).get('intents_sha256')
    if not isinstance(found, str):
        raise ValueError(
            f"{manifest_path(path)} is damaged: it must hold 'intents_sha256', as "
            'extract_intents.py writes it'
        )
    return found


def copy_extracted(path: Path, target: Path) -> None:
    r"""Copies a file of intents or profiles and its manifest, so that a run has all it
    needs."""
    if path.resolve() == target.resolve():
        return
    for source, copy in (
        (path, target),
        (manifest_path(path), manifest_path(target)),
    ):
        with open(source, 'rb') as old, atomic_write(copy, 'wb') as new:
            shutil.copyfileobj(old, new)


def move_own_run(folder: Path, model: Optional[Path]) -> Path:
    r"""Moves what a run on own data has left to a folder of its own, in which it is
    a run as before.

    Args:
        folder (pathlib.Path): The folder of the run.
        model (pathlib.Path, optional): Where its model lies, if there is one.

    Returns:
        The new folder, beside the one of the run.
    """
    folder = folder.resolve()
    aside = free_path(folder)
    paths, moved = own_run_paths(folder), own_run_paths(aside)
    for source, target in (
        *(() if model is None else ((model, moved.model),)),
        (paths.data / 'processed', moved.data / 'processed'),
        *_extracted(paths, moved),
        *((folder / name, aside / name) for name in OWN_RUN_RESULTS),
    ):
        _move(source, target)
    return aside


def keep_data(folder: Path, staged: Path) -> None:
    r"""Moves what was read elsewhere, data and files of a language model, to where a
    run keeps its own."""
    here, there = own_run_paths(folder), own_run_paths(staged)
    for source, target in (
        (there.data / 'processed', here.data / 'processed'),
        *_extracted(there, here),
    ):
        if source.exists() and target.is_dir():
            shutil.rmtree(target)
        _move(source, target)


def _extracted(old: OwnRunPaths, new: OwnRunPaths) -> Iterator[tuple[Path, Path]]:
    r"""Where files of a language model and their manifests lie, and are to lie."""
    for what in _HASHES:
        source, target = getattr(old, what), getattr(new, what)
        yield source, target
        yield manifest_path(source), manifest_path(target)


def _move(source: Path, target: Path) -> None:
    r"""Moves a file or a folder, if it is there."""
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)


def open_trained_run(folder: Path, given: Mapping[str, Any]) -> TrainedRun:
    r"""Reads the model and the graph of a run.

    Args:
        folder (pathlib.Path): The folder of the run.
        given (dict): Options of the data that are given again, by name. They must agree
            with those of the run; files may lie elsewhere by now, but hold the same.

    Raises:
        FileNotFoundError: If there is no run, or it was not trained to an end.
        ValueError: If an option differs from that of the run, or its model was trained
            on other data than lie there.
    """
    own, bundled = RunFolder(own_run_paths(folder).model), RunFolder(folder)
    if own.config_path.is_file():
        return _open_own(folder, own, given)
    if bundled.config_path.is_file():
        return _open_bundled(bundled, given)
    raise FileNotFoundError(
        f"'--run' must be a folder of own_data.py or irllrec.py, got {folder} (no "
        'config.json)'
    )


def _read_config(run: RunFolder, names: Sequence[str]) -> dict[str, Any]:
    r"""The configuration of a run, with all that these commands write."""
    config = run.read_config()
    missing = [name for name in names if name not in config]
    if missing:
        raise ValueError(
            f'{run.config_path} must be one of own_data.py or irllrec.py, got none of '
            f'their {", ".join(missing)}'
        )
    return config


def _open_own(folder: Path, run: RunFolder, given: Mapping[str, Any]) -> TrainedRun:
    config = _read_config(run, (*CHOICES, *_MODEL, *_HASHES.values()))
    options = {name: given[name] for name in given if name in CHOICES}
    check_same_options(config, options, f'the run {folder} was trained')
    args = argparse.Namespace(**config)
    paths = own_run_paths(folder)
    if any(name in given for name in FILES):
        _check_same_files(paths.data, args, given)
    dataset = InteractionDataset(paths.data)
    kept: dict[str, Optional[Path]] = {}
    for what, name in _HASHES.items():
        kept[what] = None if config[name] is None else getattr(paths, what)
        for path in (kept[what], given.get(what)):
            if path is not None and hash_extracted(path) != config[name]:
                raise ValueError(
                    f'{path} must hold the {what} that {folder} was trained with, got '
                    'others'
                )
    data = make_graph(dataset, args, **kept)
    preset = choose_preset(data, args.backbone, args.alignment)
    model = build_model(data, args.backbone, args.alignment, preset)
    _load(model, run)
    return TrainedRun(model, data, map_interactions(dataset[0], data))


def _load(model: Recommender, run: RunFolder) -> None:
    # The weights of a blend are chosen at the end.
    if len(model.companions) > 0 and not (run.path / 'metrics.json').is_file():
        raise FileNotFoundError(
            f'{run.path} must be a run that was trained to its end, where the weights '
            'of its blend are chosen: continue it with --resume'
        )
    try:
        load_weights(model, run.best_path)
    except ValueError as error:
        advice = 'the data or the package are others by now: train a new run'
        raise ValueError(str(error).replace(BUILD_ALIKE, advice)) from None


def _check_same_files(
    root: Path, args: argparse.Namespace, given: Mapping[str, Any]
) -> None:
    missing = [name for name in FILES if name not in given]
    if 'interactions' in missing or (args.item_text and missing):
        raise ValueError(
            '--interactions and --items must be given together, or neither: the run '
            f'keeps its own copy, got no --{missing[0]}'
        )
    files = {name: given.get(name) for name in FILES}
    read_dataset(argparse.Namespace(**vars(args) | files), root)


def _open_bundled(run: RunFolder, given: Mapping[str, Any]) -> TrainedRun:
    if given:
        name = next(iter(given)).replace('_', '-')
        raise ValueError(
            f'{run.path} was trained on a dataset by name: leave --{name} out'
        )
    names = ('dataset', 'root', 'data_seed', 'preset', *_MODEL)
    args = argparse.Namespace(**_read_config(run, names))
    texts = required_texts(args.backbone, args.alignment)
    root = None if args.root is None else Path(args.root)
    data = load_dataset(args.dataset, root, texts, args.data_seed)
    preset = preset_by_name(data, args)
    model = build_model(data, args.backbone, args.alignment, preset)
    _load(model, run)
    return TrainedRun(model, data, data['user', 'rates', 'item'].edge_index)
