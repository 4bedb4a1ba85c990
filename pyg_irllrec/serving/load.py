from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional, Union

import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.nn import Recommender
from pyg_irllrec.serving._bundle_files import (
    BUNDLE_FILE,
    check_file,
    import_formats,
    read_table,
    read_tensors,
    tensor_shapes,
)
from pyg_irllrec.serving._model_config import (
    build_model,
    check_claims,
    fill_model,
    take_solutions,
)
from pyg_irllrec.serving._save import (
    FORMAT,
    FORMAT_VERSION,
    folder_bytes,
    with_digest,
)
from pyg_irllrec.serving._saved_encoder import build_encoder
from pyg_irllrec.serving.bundle import Bundle
from pyg_irllrec.typing import RATES, SIDES, PathLike, TextEncoder
from pyg_irllrec.utils.argument_checks import as_path, check_encoder, check_instance
from pyg_irllrec.utils.as_device import as_device
from pyg_irllrec.utils.json_object import parse_json_object
from pyg_irllrec.utils.printable import printable

_MAX_RECORD_BYTES = 1 << 24
_ATTEMPTS = 5  # To read a bundle that another process replaces.


class _ModelArgumentError(ValueError):
    r"""The argument 'model' is missing or does not fit the bundle."""


def load(
    path: PathLike,
    device: Union[str, torch.device] = 'cpu',
    *,
    model: Optional[Recommender] = None,
    encoder: Optional[TextEncoder] = None,
) -> Bundle:
    r"""Load a bundle written by :meth:`~pyg_irllrec.serving.Bundle.save`. Loading runs
    no code from the folder, and checks the hash of every file before reading it.

    Args:
        path (str or Path): The folder of the bundle, or the folder of a run that
            contains it as :obj:`bundle`.
        device (str or torch.device): The device of the model.
            (default: :obj:`"cpu"`)
        model (Recommender, optional): A model built like the saved one, into which the
            weights are loaded. It is needed only for a model with parts of your own,
            such as a :class:`~pyg_irllrec.nn.ModuleBackbone`. (default: :obj:`None`,
            built from the bundle)
        encoder (callable, optional): A text encoder to use instead of the saved one.
            (default: :obj:`None`, the saved encoder)

    Raises:
        FileNotFoundError: If there is no bundle.
        ValueError: If a file is damaged or has another format version, or an argument
            does not fit.
        ImportError: If safetensors or pyarrow is missing (extra :obj:`data`).

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.serving import Bundle, load
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> Bundle(build_model(data), data).save('runs/first/bundle')
        >>> load('runs/first')
        Bundle(IRLLRec, num_users=12, num_items=10, num_interactions=60)
    """
    folder = bundle_folder(as_path('path', path))
    device = as_device(device)
    if model is not None:
        check_instance('model', model, Recommender)
    if encoder is not None:
        check_encoder(encoder)
    import_formats('load()')
    for _ in range(_ATTEMPTS):
        text = _read_record(folder)
        try:
            return _read(folder, text, device, model, encoder)
        except (OSError, ValueError):
            # A new save removes the files of the bundle that it replaces.
            if _read_record(folder) == text:
                raise
    raise ValueError(
        f'{printable(folder)} is saved again each time that it is read. Load it when '
        'no other process writes to it'
    )


def bundle_folder(path: Path) -> Path:
    r"""The folder of a bundle, from its own path or the path of its run."""
    inner = path / 'bundle'
    is_run = not (path / BUNDLE_FILE).exists() and (inner / BUNDLE_FILE).exists()
    return inner if is_run else path


def _read_record(folder: Path) -> bytes:
    try:
        with open(folder / BUNDLE_FILE, 'rb') as file:
            return file.read(_MAX_RECORD_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(_no_bundle(folder)) from None


def _no_bundle(folder: Path) -> str:
    r"""An error message: what the folder is instead, and how to get a bundle."""
    name = printable(folder)
    if not folder.exists():
        return f'the folder {name} does not exist'
    if (folder / 'options.json').is_file():
        return (
            f'{name} holds no bundle, but data from pyg-irllrec prepare. Train a '
            f'model: pyg-irllrec train {name} --out RUN writes RUN/bundle'
        )
    if (folder / 'config.json').is_file():
        return (
            f'{name} holds no bundle, but a run. Resume a run that was stopped with '
            f'pyg-irllrec train DATA --out {name} --resume, or save a model from fit() '
            'with Bundle(model, data).save(path)'
        )
    return (
        f'{name} holds no bundle: it has no file {BUNDLE_FILE}. Write a bundle with '
        'pyg-irllrec train or with Bundle(model, data).save(path)'
    )


def _read(
    folder: Path,
    text: bytes,
    device: torch.device,
    model: Optional[Recommender],
    encoder: Optional[TextEncoder],
) -> Bundle:
    try:
        record = _parse(text)
        return _build(folder, record, device, model, encoder)
    except _ModelArgumentError as error:
        raise ValueError(str(error)) from None
    except (MemoryError, torch.OutOfMemoryError, PermissionError):
        raise
    except Exception as error:  # Damaged files raise almost anything.
        reason = printable(error)[:300] or type(error).__name__
        if isinstance(error, FileNotFoundError):
            reason = f'{Path(str(error.filename)).name} is missing'
        elif isinstance(error, KeyError):
            reason = f'it lacks {reason}'
        raise ValueError(
            f'{printable(folder)} is not a complete bundle of this version: {reason}. '
            'Copy the folder again, or save the bundle again'
        ) from None


def _parse(text: bytes) -> dict[str, Any]:
    if len(text) > _MAX_RECORD_BYTES:
        raise ValueError(f'{BUNDLE_FILE} has more than {_MAX_RECORD_BYTES} bytes')
    try:
        record = parse_json_object(text)
    except ValueError as error:
        raise ValueError(f'{BUNDLE_FILE} is damaged: {error}') from None
    if record.get('format') != FORMAT:
        raise ValueError(f'{BUNDLE_FILE} does not describe a bundle')
    version = record.get('format_version')
    if version != FORMAT_VERSION:
        written = record.get('versions')
        made_by = written.get('pyg_irllrec') if isinstance(written, dict) else None
        raise ValueError(
            f'its format has version {version!r}, written by pyg_irllrec {made_by}, '
            f'but this package reads version {FORMAT_VERSION}. Install the version '
            'that wrote it'
        )
    if with_digest(record)['digest'] != record.get('digest'):
        raise ValueError(f'{BUNDLE_FILE} is damaged: its content has changed')
    return record


def _build(
    folder: Path,
    record: dict[str, Any],
    device: torch.device,
    model: Optional[Recommender],
    encoder: Optional[TextEncoder],
) -> Bundle:
    paths = {name: check_file(folder, each) for name, each in record['files'].items()}
    data = _read_data(paths, record['sizes'])
    tensors = read_tensors(paths['data'])
    for name, value in tensors.items():
        side, _, key = name.partition('.')
        if side in SIDES:
            data[side][key] = value
        elif side == 'rates':
            data[RATES][key] = value
    built = _model(folder, paths['model'], record, device, model)
    if encoder is None:
        own = read_tensors(paths['encoder']) if 'encoder' in paths else {}
        encoder = build_encoder(record['encoder'], own)
    bundle = Bundle(
        built,
        data,
        encoder=encoder,
        seen=tensors['seen'],
        metrics={
            name: math.nan if value is None else value
            for name, value in record['metrics'].items()
        },
        min_rating=record.get('min_rating'),
    )
    bundle.saved = {
        'saved': record['saved'],
        'versions': record['versions'],
        'bytes': folder_bytes(folder, record['files']),
    }
    return bundle


def _read_data(paths: Mapping[str, Path], sizes: Mapping[str, int]) -> HeteroData:
    data = HeteroData()
    for side in SIDES:
        data[side].num_nodes = sizes[side]
        for name, column in read_table(paths[f'{side}s'], sizes[side]).items():
            data[side][name] = column
    return data


def _model(
    folder: Path,
    path: Path,
    record: dict[str, Any],
    device: torch.device,
    model: Optional[Recommender],
) -> Recommender:
    config = record['model']
    if model is not None:
        tensors = read_tensors(path)
        try:
            fill_model(model.cpu(), tensors)
        except ValueError as error:
            raise _ModelArgumentError(str(error)) from None
    elif config is None:
        raise _ModelArgumentError(
            f"'model' must be built like the {record['model_class']} saved in "
            f'{printable(folder)}, which has parts that only your code can build. Pass '
            'it as load(path, model=...)'
        )
    else:
        check_claims(config, tensor_shapes(path))
        tensors = read_tensors(path)
        model = build_model(config, tensors)
    model = model.to(device)
    take_solutions(model, tensors)
    return model
