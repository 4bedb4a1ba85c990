"""The doors of :mod:`benchmarks.fuzz`: readers of foreign files and answers. To add a
door, write a function that makes valid input and one that reads it, and add both to
DOORS."""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse
import torch

from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.datasets._ingest.store import file_digest
from pyg_irllrec.nn import LightGCN, Recommender
from pyg_irllrec.text import load_intents, load_vectors, save_intents, save_vectors
from pyg_irllrec.text._endpoint import EndpointError
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.openai_chat import OpenAIChat
from pyg_irllrec.text.encoders._vector_table import VectorTable
from pyg_irllrec.text.intents._journal import Journal, JournalEntry
from pyg_irllrec.text.intents.intent_record import Intent, IntentRecord, read_answer
from pyg_irllrec.training import AtomicCheckpointIO, RunFolder, load_weights
from pyg_irllrec.utils.safe_pickle import load_pickled_array


class Door(NamedTuple):
    """One reader of foreign input."""

    make: Callable[[Path], Sequence[Path]]
    """Write valid input into a folder. Return the files that may be changed."""
    read: Callable[[Path], Any]
    """Read the input of a folder."""
    seal: Callable[[Path], None] = lambda folder: None
    """Update checksums and sizes after a change. Called for half of the mutants."""
    sealed: bool = False
    """Whether the reader must refuse changed files whose checksums are not updated,
    unless it reads the same value."""
    errors: tuple[type[Exception], ...] = (ValueError, FileNotFoundError)
    """The errors that the reader may raise."""
    writes: bool = False
    """Whether the reader may leave files."""


MATRIX = scipy.sparse.coo_matrix(
    (np.arange(1.0, 7), ([0, 1, 1, 2, 3, 4], [0, 1, 2, 0, 3, 2])), shape=(5, 4)
)
IDS = ['u1', 'u2', 'ü3']


def make_pickles(folder: Path) -> list[Path]:
    values = [MATRIX.asformat(kind) for kind in ('coo', 'csr', 'bsr', 'lil', 'dok')]
    files = []
    for number, value in enumerate([*values, np.eye(3, dtype=np.float32)]):
        files.append(folder / f'{number}.pkl')
        files[-1].write_bytes(pickle.dumps(value, protocol=(0, 2, 5)[number % 3]))
    return files


def read_pickles(folder: Path) -> None:
    for path in folder.glob('*.pkl'):
        value = load_pickled_array(path)
        if scipy.sparse.issparse(value):
            value.tocoo()


def make_vectors(folder: Path) -> list[Path]:
    save_vectors(folder / 'v.npz', np.eye(3, 4, dtype=np.float32), IDS, {'model': 'm'})
    return [folder / 'v.npz']


def read_vectors(folder: Path) -> Any:
    found = load_vectors(folder / 'v.npz')
    load_vectors(folder / 'v.npz', ['u1'], missing='zeros')
    return found.vectors.tolist(), found.ids.tolist()


FRAME = pd.DataFrame(
    {
        'user': ['u1', 'u2', 'u2', 'ü3'],
        'item': [10, 11, 12, 10],
        'stars': [1.5, 2, 3, 4],
        'when': [1700000000, 1700000100, 1700000200, 1700000300],
    }
)
COLUMNS = {'user': 'user', 'item': 'item', 'rating': 'stars', 'timestamp': 'when'}
TEXTS = pd.DataFrame({'item': [10, 11, 12], 'title': ['Red', 'A "b", c', 'two\nlines']})


def make_csv(folder: Path) -> list[Path]:
    FRAME.to_csv(folder / 'in.csv', index=False)
    return [folder / 'in.csv']


def make_parquet(folder: Path) -> list[Path]:
    FRAME.to_parquet(folder / 'in.parquet')
    return [folder / 'in.parquet']


def make_json_lines(folder: Path) -> list[Path]:
    FRAME.to_json(folder / 'in.jsonl', orient='records', lines=True)
    return [folder / 'in.jsonl']


def make_texts(folder: Path) -> list[Path]:
    make_csv(folder)
    TEXTS.to_csv(folder / 'items.csv', index=False)
    return [folder / 'items.csv']


def read_csv(folder: Path) -> None:
    InteractionDataset.from_csv(folder / 'in.csv', folder / 'root', **COLUMNS)


def read_parquet(folder: Path) -> None:
    InteractionDataset.from_parquet(folder / 'in.parquet', folder / 'root', **COLUMNS)


def read_json_lines(folder: Path) -> None:
    path = folder / 'in.jsonl'
    InteractionDataset.from_json_lines(path, folder / 'root', **COLUMNS)


def read_texts(folder: Path) -> None:
    data = InteractionDataset.from_csv(
        folder / 'in.csv',
        folder / 'root',
        items=folder / 'items.csv',
        item_text='title',
        **COLUMNS,
    )
    list(data[0]['item'].text)


def make_store(folder: Path) -> list[Path]:
    InteractionDataset.from_frame(
        FRAME, folder / 'root', items=TEXTS, item_text='title', **COLUMNS
    )
    return sorted((folder / 'root' / 'processed').iterdir())


def read_store(folder: Path) -> None:
    data = InteractionDataset(folder / 'root')[0]
    list(data['item'].text)
    repr(data)


def seal_store(folder: Path) -> None:
    path = folder / 'root' / 'processed' / 'manifest.json'
    try:
        manifest = json.loads(path.read_bytes())
        for name in manifest['files']:
            manifest['files'][name] = file_digest(path.parent / name)
        path.write_text(json.dumps(manifest))
    except (ValueError, LookupError, TypeError, OSError, RecursionError):
        return  # The mutation changed the manifest itself.


def make_intents(folder: Path) -> list[Path]:
    intents = (Intent('calm', 'likes quiet', (1,)),)
    save_intents(
        folder / 'i.jsonl',
        [
            IntentRecord('user', 1, 'ok', intents, '', (('item', 'x'),), 'ab'),
            IntentRecord('item', 'x', 'failed', (), 'why'),
        ],
        {'model': {'model': 'm'}},
    )
    return sorted(folder.iterdir())


def seal_intents(folder: Path) -> None:
    path = folder / 'i.manifest.json'
    try:
        manifest = json.loads(path.read_bytes())
        digest = hashlib.sha256((folder / 'i.jsonl').read_bytes()).hexdigest()
        manifest['intents_sha256'] = digest
        path.write_text(json.dumps(manifest))
    except (ValueError, LookupError, TypeError, OSError, RecursionError):
        return


ENTRY = JournalEntry((Intent('calm', 'likes quiet', (1,)),), '', 1, 20, 3)


def make_journal(folder: Path) -> list[Path]:
    with Journal(folder / 'journal.db') as journal:
        for number in range(4):
            journal.write(bytes([number]), ENTRY)
    return [folder / 'journal.db']


def read_journal(folder: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        with Journal(folder / 'journal.db') as journal:
            found = journal.read([bytes([number]) for number in range(4)])
            journal.write(b'new', JournalEntry((), 'why', 1, 2, 3))
    assert all(entry == ENTRY for entry in found.values())
    assert len(found) == 4 or caught, f'{4 - len(found)} entries lost without a warning'


def make_table(folder: Path) -> list[Path]:
    with VectorTable(folder / 'cache.db') as table:
        table.write([bytes([n]) for n in range(4)], np.eye(4, dtype=np.float32))
    return [folder / 'cache.db']


def read_table(folder: Path) -> None:
    with VectorTable(folder / 'cache.db') as table:
        table.read([bytes([number]) for number in range(4)])


@cache  # PyG runs code when it builds a layer, which the guard would report.
def make_model() -> Recommender:
    torch.manual_seed(0)
    edge_index = torch.tensor([[0, 1, 2, 3, 4, 3], [3, 4, 3, 0, 1, 2]])
    return Recommender(LightGCN(3, 2, 4), edge_index)


def make_checkpoint(folder: Path) -> list[Path]:
    state = {f'model.{k}': value for k, value in make_model().state_dict().items()}
    AtomicCheckpointIO().save_checkpoint(
        {
            'state_dict': state,
            'history': [{'epoch': 1, 'loss': 0.5}],
            'settings': {'lr': 0.1, 'ks': [1], 'seed': 0},
            'epoch': 0,
            'global_step': 1,
            'pytorch-lightning_version': '2.6.0',
        },
        folder / 'best.ckpt',
    )
    return [folder / 'best.ckpt']


def read_checkpoint(folder: Path) -> Any:
    checkpoint = AtomicCheckpointIO().load_checkpoint(folder / 'best.ckpt')
    model = make_model()
    load_weights(model, folder / 'best.ckpt', check_data=False)
    return [checkpoint, *(value.tolist() for value in model.state_dict().values())]


def make_run(folder: Path) -> list[Path]:
    RunFolder(folder).open({'seed': 0, 'backbone': 'sgl', 'ks': [5, 10]})
    return [folder / 'config.json']


ANSWER = {'intents': [{'name': 'calm', 'reason': 'likes quiet', 'evidence': [1, 2]}]}


def make_answer(folder: Path) -> list[Path]:
    text = f'<think>Hm {{1}}</think>\n```json\n{json.dumps(ANSWER)}\n```'
    (folder / 'answer.txt').write_text(text)
    return [folder / 'answer.txt']


def read_an_answer(folder: Path) -> None:
    text = (folder / 'answer.txt').read_bytes().decode('utf-8', 'surrogateescape')
    read_answer(text, 3, 2)


def make_response(folder: Path) -> list[Path]:
    message = {'role': 'assistant', 'content': json.dumps(ANSWER)}
    choice = {'index': 0, 'finish_reason': 'stop', 'message': message}
    usage = {'prompt_tokens': 9, 'completion_tokens': 12}
    (folder / 'body.json').write_text(json.dumps({'choices': [choice], 'usage': usage}))
    return [folder / 'body.json']


def read_response(folder: Path) -> None:
    body = (folder / 'body.json').read_bytes()
    response = SimpleNamespace(http_response=SimpleNamespace(content=body))
    chat = OpenAIChat('m', 'http://localhost:1/v1', api_key='sk-of-a-fuzz-0123456789')
    chat.read(chat._endpoint.call(lambda client: response))


_DATABASE_ERRORS = (ValueError, OSError)

DOORS = {
    'pickle': Door(make_pickles, read_pickles),
    'vectors': Door(make_vectors, read_vectors, sealed=True),
    'csv': Door(make_csv, read_csv),
    'parquet': Door(make_parquet, read_parquet),
    'json_lines': Door(make_json_lines, read_json_lines),
    'texts': Door(make_texts, read_texts),
    'store': Door(make_store, read_store, seal_store),
    'intents': Door(
        make_intents, lambda folder: load_intents(folder / 'i.jsonl'), seal_intents
    ),
    'journal': Door(make_journal, read_journal, errors=_DATABASE_ERRORS, writes=True),
    'vector_table': Door(make_table, read_table, errors=_DATABASE_ERRORS, writes=True),
    'checkpoint': Door(make_checkpoint, read_checkpoint, sealed=True),
    'run': Door(make_run, lambda folder: RunFolder(folder).read_config()),
    'answer': Door(make_answer, read_an_answer),
    'response': Door(
        make_response, read_response, errors=(ValueError, ChatError, EndpointError)
    ),
}
