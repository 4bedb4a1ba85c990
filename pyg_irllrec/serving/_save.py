from __future__ import annotations

import hashlib
import json
import math
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch_geometric
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.nn import Recommender
from pyg_irllrec.serving._bundle_files import (
    BUNDLE_FILE,
    FileRecord,
    import_formats,
    remove_others,
    write_table,
    write_tensors,
)
from pyg_irllrec.serving._kept_data import TEXTS, VECTORS
from pyg_irllrec.serving._model_config import (
    OwnPartError,
    build_model,
    model_config,
    model_tensors,
)
from pyg_irllrec.serving._saved_encoder import encoder_record
from pyg_irllrec.typing import RATES, SIDES, PathLike
from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.argument_checks import as_path
from pyg_irllrec.utils.digest import hash_graph, hash_interactions
from pyg_irllrec.utils.evaluating import evaluating
from pyg_irllrec.utils.files import atomic_write
from pyg_irllrec.utils.folder_lock import FolderLock
from pyg_irllrec.utils.warn_caller import warn_caller

if TYPE_CHECKING:
    from pyg_irllrec.serving.bundle import Bundle

FORMAT = 'pyg_irllrec bundle'
FORMAT_VERSION = 1


def save_bundle(bundle: Bundle, path: PathLike) -> None:
    r"""Write a bundle to a folder, see :meth:`Bundle.save`."""
    folder = as_path('path', path)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"'path' must be a folder, got the file {folder}")
    import_formats('save()')
    parts = _parts_of(bundle)
    record = _record_of(bundle) | parts.pop('record')
    with FolderLock(folder):
        before = {each.name for each in folder.iterdir()}
        files: dict[str, FileRecord] = {}
        try:
            for name, content in parts.items():
                write = write_table if name in ('users', 'items') else write_tensors
                files[name] = write(folder, name, content)
            record = with_digest(record | {'files': files})
            with atomic_write(folder / BUNDLE_FILE) as file:
                json.dump(record, file, indent=1, allow_nan=False)
        except BaseException:
            for each in files.values():
                if each['name'] not in before:
                    with suppress(OSError):
                        (folder / each['name']).unlink()
            raise
        remove_others(folder, {each['name'] for each in files.values()})


def with_digest(record: Mapping[str, Any]) -> dict[str, Any]:
    r"""Add a hash of all other fields to a record."""
    rest = {name: value for name, value in record.items() if name != 'digest'}
    text = json.dumps(rest, sort_keys=True)
    return {**rest, 'digest': hashlib.sha256(text.encode()).hexdigest()}


def versions() -> dict[str, str]:
    r"""The versions of the libraries that write and read bundles."""
    package = sys.modules[__name__.partition('.')[0]]
    return {
        'pyg_irllrec': package.__version__,
        'torch': str(torch.__version__),
        'torch_geometric': torch_geometric.__version__,
        'python': platform.python_version(),
    }


def fingerprint_of(bundle: Bundle) -> dict[str, str]:
    r"""Short hashes of the training data of the model."""
    model = bundle.model
    return {
        'graph': hash_graph(model.edge_index, model.num_users + model.num_items),
        'seen': hash_interactions(bundle.seen),
        **{
            side: hashlib.sha256(
                '\0'.join(map(str, bundle.data[side].id)).encode(errors='replace')
            ).hexdigest()[:32]
            for side in SIDES
        },
    }


def _record_of(bundle: Bundle) -> dict[str, Any]:
    return {
        'format': FORMAT,
        'format_version': FORMAT_VERSION,
        'versions': versions(),
        'saved': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'sizes': {side: bundle.data[side].num_nodes for side in SIDES},
        'metrics': {  # JSON has no NaN.
            name: value if math.isfinite(value) else None
            for name, value in bundle.metrics.items()
        },
        'min_rating': bundle.min_rating,
        'fingerprint': fingerprint_of(bundle),
    }


def _parts_of(bundle: Bundle) -> dict[str, Any]:
    r"""The content of each file, and :obj:`record`, the fields that describe them."""
    model = bundle.model
    tensors = model_tensors(model)
    own = type(model).__name__
    config = None
    try:
        config = model_config(model, tensors)
    except OwnPartError as error:
        warn_caller(
            f'this model is saved without its configuration, because {error}. To load '
            'it, build the model as before and pass it as load(path, model=...)'
        )
    if config is not None:
        check_unchanged(bundle, build_model(config, tensors))
    encoder, encoder_tensors = encoder_record(bundle.encoder)
    parts: dict[str, Any] = {
        'record': {'model': config, 'model_class': own, 'encoder': encoder},
        'model': tensors,
        'users': _columns(bundle.data, 'user'),
        'items': _columns(bundle.data, 'item'),
        'data': _data_tensors(bundle),
    }
    if encoder_tensors:
        parts['encoder'] = encoder_tensors
    return parts


def check_unchanged(bundle: Bundle, model: Recommender) -> None:
    r"""Raise a :class:`ValueError` if the scores of a model, the bundle's own or a
    rebuilt one, differ from those of the bundle, because the model was trained further
    or has hooks."""
    with torch.no_grad(), evaluating(model):
        found = torch.cat(model.get_embeddings())
    ranker = bundle.ranker
    wanted = torch.cat([ranker.user_embedding, ranker.item_embedding]).to(found.device)
    # Nodes without interactions may be embedded by their texts.
    rows = source_and_target(model.edge_index)[1].long().unique()
    if not torch.allclose(found[rows], wanted[rows], rtol=1e-3, atol=1e-5):
        raise ValueError(
            'the scores of the model differ from those of the bundle, because the '
            'model was trained further or changed. Make a new bundle with '
            'Bundle(model, data)'
        )


def _columns(data: HeteroData, side: str) -> dict[str, Any]:
    store = data[side]
    return {name: store[name] for name in ('id', *TEXTS) if name in store}


def _data_tensors(bundle: Bundle) -> dict[str, Tensor]:
    found = {'seen': bundle.seen.pairs.cpu()}
    for side in SIDES:
        for name in VECTORS:
            if name in bundle.data[side]:
                found[f'{side}.{name}'] = bundle.data[side][name].contiguous()
    for name, value in bundle.data[RATES].items():
        found[f'rates.{name}'] = value.contiguous()
    return found


def folder_bytes(folder: Path, files: Mapping[str, FileRecord]) -> int:
    r"""The size of a saved bundle in bytes."""
    size = (folder / BUNDLE_FILE).stat().st_size
    return size + sum(int(each['bytes']) for each in files.values())
