r"""The jobs of :mod:`benchmarks.chaos`: each takes at most a second, writes to a
folder, can be started again as a user would, and has digests of its results."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.chat_server import good
from pyg_irllrec.cli.main import main
from pyg_irllrec.datasets import InteractionDataset, SyntheticIntents
from pyg_irllrec.nn import IRLLRec, LightGCN
from pyg_irllrec.serving import load
from pyg_irllrec.text import (
    CachedEncoder,
    Evidence,
    Intent,
    IntentExtractor,
    IntentRecord,
    load_intents,
    load_vectors,
    save_intents,
    save_vectors,
)
from pyg_irllrec.training import (
    AtomicCheckpointIO,
    InteractionDataModule,
    RunFolder,
    fit,
    load_weights,
)
from pyg_irllrec.utils import bipartite_edge_index

Parts = dict[str, str]
"""Digests by the names of results."""


class Job(NamedTuple):
    name: str
    prepare: Callable[[Path], None]
    """Write the inputs."""
    run: Callable[[Path, Path, bool], None]
    """Work from the inputs into the folder. The flag asks to resume."""
    readers: Sequence[Callable[[Path], Parts]]
    """Read the files of a finished run with the package."""
    results: Callable[[Path], Parts] = lambda folder: {}
    """Read the files of a finished run that are for people and other programs."""
    begin: Callable[[Path, Path], None] = lambda inputs, folder: None
    """Fill the folder with an earlier version, which the run replaces."""

    def read(self, folder: Path) -> Parts:
        parts = [reader(folder) for reader in (*self.readers, self.results)]
        return {name: value for each in parts for name, value in each.items()}


class CommandError(Exception):
    """A command failed. The message is its status and what it printed."""


def digest(value: Any) -> str:
    return hashlib.sha256(b''.join(_pieces(value))).hexdigest()[:16]


def _pieces(value: Any) -> Iterable[bytes]:
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        yield f'{value.dtype} {value.shape}'.encode()
        yield value.tobytes()
    elif isinstance(value, dict):
        for key, each in value.items():
            yield repr(key).encode()
            yield from _pieces(each)
    elif isinstance(value, (list, tuple)):
        yield f'[{len(value)}'.encode()
        for each in value:
            yield from _pieces(each)
    else:
        yield repr(value).encode()


def read_json(path: Path, without: Sequence[str] = ()) -> dict[str, Any]:
    """The fields of a file, without those that differ between runs."""
    fields = json.loads(path.read_text('utf-8'))
    return {name: value for name, value in fields.items() if name not in without}


# Training


def no_inputs(inputs: Path) -> None:
    pass


@cache
def training_data() -> Any:
    return SyntheticIntents(50, 40, num_intents=4)[0]


def build() -> IRLLRec:
    data = training_data()
    edges = bipartite_edge_index(data['user', 'rates', 'item'].edge_index, 50, 40)
    texts = {
        kind: torch.cat([data['user'][kind], data['item'][kind]])
        for kind in ('profile', 'intent')
    }
    torch.manual_seed(0)
    return IRLLRec(LightGCN(50, 40, 8, num_intents=4, edge_dropout=0.1), edges, **texts)


def train(inputs: Path, folder: Path, resume: bool) -> None:
    run = RunFolder(folder / 'run')
    run.open({'seed': 0}, resume=resume)
    fit(
        build(),
        InteractionDataModule(training_data(), batch_size=128),
        run.path,
        epochs=4,
        check_every=1,
        lr=1e-2,
        device='cpu',
        resume=resume and run.has_checkpoint,
        progress=False,
    )


def read_training(folder: Path) -> Parts:
    run = RunFolder(folder / 'run')
    model = build()
    load_weights(model, run.best_path)
    last = AtomicCheckpointIO().load_checkpoint(run.path / 'last.ckpt')
    names = ('state_dict', 'optimizer_states', 'epoch', 'global_step', 'history')
    return {
        'config': digest(run.read_config()),
        'best.ckpt': digest(model.state_dict()),
        'last.ckpt': digest({name: last[name] for name in names}),
    }


def read_metrics(folder: Path) -> Parts:
    run = folder / 'run'
    times = ('seconds_per_step', 'peak_memory_mb')
    return {
        'history.csv': digest((run / 'history.csv').read_bytes()),
        'metrics.json': digest(read_json(run / 'metrics.json', times)),
    }


# Extraction


class SlowModel:
    """A model in this process whose calls take a few milliseconds."""

    def __call__(self, conversations: Sequence[Any]) -> list[str]:
        time.sleep(0.003)
        return [good({'messages': conversation}) for conversation in conversations]

    def describe(self) -> dict[str, Any]:
        return {'model': 'slow'}


def extract(inputs: Path, folder: Path, resume: bool) -> None:
    evidence = [
        Evidence('user', k, (f'text {k}', f'more {k}'), (('user', k), ('user', k)))
        for k in range(40)
    ]
    IntentExtractor(SlowModel(), concurrency=2, progress=False)(
        evidence, folder / 'intents.jsonl'
    )


def read_intents(folder: Path) -> Parts:
    records, manifest = load_intents(folder / 'intents.jsonl')
    manifest.pop('date')
    return {
        'intents': digest([record.to_dict() for record in records]),
        'manifest': digest(manifest),
    }


# Encoding


class SlowEncoder:
    """An encoder whose vectors are hashes of the texts."""

    def __call__(self, texts: Sequence[str]) -> Any:
        time.sleep(0.002)
        hashes = [hashlib.sha256(text.encode()).digest() for text in texts]
        return np.array([list(each) for each in hashes], np.float32)

    def describe(self) -> dict[str, Any]:
        return {'model': 'hash'}


def encode(inputs: Path, folder: Path, resume: bool) -> None:
    texts = [f'text {k}' for k in range(120)]
    encoder = CachedEncoder(
        SlowEncoder(), folder / 'cache.sqlite', batch_size=6, progress=False
    )
    vectors = encoder(texts)
    save_vectors(folder / 'vectors.npz', vectors, texts, encoder.describe())


def read_vectors(folder: Path) -> Parts:
    vectors, ids, record = load_vectors(folder / 'vectors.npz')
    record.pop('date')
    return {'vectors.npz': digest([vectors, ids.tolist(), record])}


# Datasets


def write_tables(inputs: Path) -> None:
    data = SyntheticIntents(40, 30, num_intents=4)[0]
    rates = data['user', 'rates', 'item']
    edges = torch.cat([rates.edge_index, rates.val_edge_label_index], 1)
    rows = [
        [f'u{u}', f'i{i}', 4 + n % 2, 1000 + n]
        for n, (u, i) in enumerate(edges.t().tolist())
    ]
    texts = [[f'i{n}', text] for n, text in enumerate(data['item'].profile_text)]
    write_table(inputs / 'ratings.csv', ['user', 'item', 'stars', 'time'], rows)
    write_table(inputs / 'items.csv', ['item', 'text'], texts)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Any]) -> None:
    with open(path, 'w', newline='', encoding='utf-8') as file:
        table = csv.writer(file, lineterminator='\n')
        table.writerow(header)
        table.writerows(rows)


def build_dataset(inputs: Path, folder: Path, resume: bool) -> None:
    InteractionDataset.from_csv(
        inputs / 'ratings.csv',
        folder / 'data',
        user='user',
        item='item',
        rating='stars',
        timestamp='time',
        items=inputs / 'items.csv',
        item_text='text',
        force_reload=not resume,
    )


def read_dataset(folder: Path) -> Parts:
    dataset = InteractionDataset(folder / 'data')
    nodes = dataset[0]['item']
    return {
        'edges': digest(dataset[0]['user', 'rates', 'item'].to_dict()),
        'ids': digest([dataset.user_ids, dataset.item_ids]),
        'texts': digest(list(nodes.text) if 'text' in nodes else None),
        'counts': digest(dataset.counts),
    }


# Saving over earlier files


def save(inputs: Path, folder: Path, resume: bool) -> None:
    save_version(folder, 2 if resume else 3)
    build_dataset(inputs, folder, resume=False)


def save_first_version(inputs: Path, folder: Path) -> None:
    save_version(folder, 1)
    InteractionDataset.from_csv(
        inputs / 'ratings.csv', folder / 'data', user='user', item='item'
    )


def save_version(folder: Path, version: int) -> None:
    rows = 1000 * version
    vectors = np.random.default_rng(version).normal(size=(rows, 8)).astype(np.float32)
    save_vectors(folder / 'vectors.npz', vectors, range(rows), {'version': version})
    intent = Intent(f'version {version}', 'it is', (1,))
    records = [
        IntentRecord('user', k, 'ok', (intent,), '', (('user', k),), f'{k:064x}')
        for k in range(100 * version)
    ]
    manifest = {'version': version, 'date': 'none'}
    save_intents(folder / 'intents.jsonl', records, manifest)


# From a table to recommendations


def command(*words: object) -> None:
    printed = io.StringIO()
    status: object = 0
    with redirect_stdout(io.StringIO()), redirect_stderr(printed):
        try:
            main([str(word) for word in words])
        except SystemExit as stop:
            status = stop.code
    if status:
        raise CommandError(f'{status} {printed.getvalue()}')


def recommend(inputs: Path, folder: Path, resume: bool) -> None:
    data, run = folder / 'data', folder / 'out'
    files = ('--interactions', inputs / 'ratings.csv', '--items', inputs / 'items.csv')
    command('prepare', *files, '--item-text', 'text', '--out', data)
    again = ['--resume'] if resume else []
    command('train', data, '--out', run, '--epochs', 2, '--device', 'cpu', *again)
    command('recommend', run, '--k', 3, '--out', folder / 'recommendations.csv')


def read_model(folder: Path) -> Parts:
    bundle = load(folder / 'out' / 'bundle')
    seen = {'rowptr': bundle.seen.rowptr, 'item': bundle.seen.item}
    return {'bundle': digest(bundle.model.state_dict()), 'seen': digest(seen)}


def read_recommendations(folder: Path) -> Parts:
    return {
        'recommendations.csv': digest((folder / 'recommendations.csv').read_bytes()),
        'metrics.json': digest(read_json(folder / 'out' / 'metrics.json')['test']),
    }


SAVED = (read_vectors, read_intents, read_dataset)
JOBS = (
    Job('training', no_inputs, train, (read_training,), read_metrics),
    Job('extraction', no_inputs, extract, (read_intents,)),
    Job('encoding', no_inputs, encode, (read_vectors,)),
    Job('dataset', write_tables, build_dataset, (read_dataset,)),
    Job('saving', write_tables, save, SAVED, begin=save_first_version),
    Job('own_data', write_tables, recommend, (read_model,), read_recommendations),
)
