r"""Load real datasets as graphs, from a folder outside the repository.

:func:`load` reads one dataset under a root folder: :obj:`irllrec/{amazon,movie,yelp}`
(the authors' matrices), :obj:`xrec/{amazon,yelp}` (XRec's splits and profiles),
:obj:`ml-latest-small`, :obj:`ml-100k`, :obj:`lastfm-2k` or :obj:`goodreads`. Sentence
vectors are in the same folders as :obj:`minilm_item.npz` and :obj:`minilm_user.npz`.
:obj:`synthetic` (the embedded dataset) and :obj:`toy` (a small one of its kind) need no
root.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.datasets import IRLLRecDataset, SyntheticIntents
from pyg_irllrec.text import (
    ExtractiveModel,
    IntentExtractor,
    TfidfEncoder,
    choose_evidence,
)
from pyg_irllrec.transforms import (
    AddIntents,
    BinarizeRatings,
    EncodeText,
    KCore,
    ProfileVectors,
    SplitInteractions,
)
from pyg_irllrec.typing import RATES, SIDES, IntArray

HELD_OUT = ('val_edge_label_index', 'test_edge_label_index')
SPLITS = ('given', 'random', 'time', 'leave_one_out')
TEXTS = ('real', 'shuffled')
GIVEN = ('amazon', 'movie', 'yelp', 'xrec-amazon', 'xrec-yelp', 'synthetic', 'toy')
"""The datasets that have a split of their own."""
EMBEDDED = ('synthetic', 'toy')
"""The datasets that need no root."""
TEXT_FIELDS = (
    *('title', 'name', 'genres', 'tags'),
    *('plot', 'profile', 'gpt_description'),
)
FROM_TRAINING = ('yelp',)
"""The datasets whose user texts were written from the training items of the given
split. With another split they would leak, so they are replaced."""


def load(
    name: str,
    root: Optional[Path] = None,
    *,
    split: str = 'given',
    seed: int = 0,
    text: Optional[str] = 'real',
    noise: float = 0.0,
    keep: float = 1.0,
    intents: bool = False,
) -> HeteroData:
    r"""Load a graph with training, validation and test interactions and, if the dataset
    has texts, the text vectors :obj:`profile` and :obj:`intent`. Users without texts
    get the mean vector of their training items.

    Args:
        name (str): A key of :obj:`READERS`.
        root (Path, optional): The folder of all datasets. (default: :obj:`None`)
        split (str): One of :obj:`SPLITS`. :obj:`"given"` splits at random if the
            dataset has no split of its own. (default: :obj:`"given"`)
        seed (int): The seed of the split, of the shuffled texts, and of added and
            removed interactions. (default: :obj:`0`)
        text (str, optional): :obj:`"real"`, :obj:`"shuffled"` (users' vectors are
            permuted among users, items' vectors among items) or :obj:`None`.
            (default: :obj:`"real"`)
        noise (float): The number of random interactions to add to training, as a share
            of the real ones. (default: :obj:`0.0`)
        keep (float): The share of training interactions to keep.
            (default: :obj:`1.0`)
        intents (bool): If the dataset has no intents, whether to extract them from
            texts and training interactions, without a language model, instead of using
            the profiles. (default: :obj:`False`)

    Raises:
        FileNotFoundError: If the dataset is not under :obj:`root`.
        ValueError: If :obj:`split` is :obj:`"time"` and the dataset has no times.
    """
    data = READERS[name](Path(root or '.'))
    if name in FROM_TRAINING and (split, noise, keep) != ('given', 0.0, 1.0):
        for side, kind in (('user', 'profile'), ('user', 'intent'), ('item', 'intent')):
            del data[side][kind]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # About cold items, which are kept.
        data = _split(data, split, seed)
    _change_training(data, noise, keep, seed)
    data = _complete_texts(data, intents)
    if text is None:
        for side in SIDES:
            for kind in ('profile', 'intent'):
                data[side].pop(kind, None)
    elif text == 'shuffled':
        _shuffle_texts(data, seed)
    return data


def is_split(data: HeteroData) -> bool:
    return all(key in data[RATES] for key in HELD_OUT)


def _split(data: HeteroData, split: str, seed: int) -> HeteroData:
    rates = data[RATES]
    if is_split(data):
        if split == 'given':
            return data
        rates.edge_index = torch.cat(
            [rates.edge_index, *(rates.pop(key) for key in HELD_OUT)], dim=1
        )
    return SplitInteractions('random' if split == 'given' else split, seed=seed)(data)


def _change_training(data: HeteroData, noise: float, keep: float, seed: int) -> None:
    if noise == 0 and keep == 1:
        return
    generator = torch.Generator().manual_seed(seed)
    rates = data[RATES]
    edges = rates.edge_index
    count = edges.size(1)
    if keep < 1:
        order = torch.randperm(count, generator=generator)
        edges = edges[:, order[: max(1, round(keep * count))]]
    if noise > 0:
        sizes = data['user'].num_nodes, data['item'].num_nodes
        shape = (round(noise * edges.size(1)),)
        drawn = torch.stack(
            [torch.randint(size, shape, generator=generator) for size in sizes]
        )
        taken = torch.cat([edges, *(rates[key] for key in HELD_OUT)], dim=1)
        known = torch.isin(_key(drawn, sizes[1]), _key(taken, sizes[1]))
        edges = torch.cat([edges, drawn[:, ~known]], dim=1)
        edges = edges[:, np.unique(_key(edges, sizes[1]), return_index=True)[1]]
    for key in set(rates.keys()) - {'edge_index', *HELD_OUT}:
        del rates[key]  # For example the times, which belong to other interactions now.
    rates.edge_index = edges


def _key(edges: Tensor, num_items: int) -> Tensor:
    return edges[0] * num_items + edges[1]


def _complete_texts(data: HeteroData, intents: bool) -> HeteroData:
    if 'profile' not in data['item']:
        return data
    if 'profile' not in data['user']:
        data = ProfileVectors()(data)
    if intents and 'intent' not in data['item'] and 'text' in data['item']:
        data = _extract_intents(data)
    for side in SIDES:
        if 'intent' not in data[side]:
            data[side].intent = data[side].profile
    return data


def _extract_intents(data: HeteroData) -> HeteroData:
    evidence = choose_evidence(data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'intents.jsonl'
        extract = IntentExtractor(ExtractiveModel(evidence), progress=False)
        extract(evidence, path)
        data = AddIntents(path)(data)
    return EncodeText(TfidfEncoder(), 'intent_text', 'intent')(data)


def _shuffle_texts(data: HeteroData, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for side in SIDES:
        order = torch.randperm(data[side].num_nodes, generator=generator)
        for kind in ('profile', 'intent'):
            data[side][kind] = data[side][kind][order]


# The readers of the datasets.


def _synthetic(root: Path) -> HeteroData:
    return SyntheticIntents()[0]


def _toy(root: Path) -> HeteroData:
    return SyntheticIntents(60, 40, num_intents=4)[0]


def _irllrec(name: str) -> Callable[[Path], HeteroData]:
    return lambda root: IRLLRecDataset(_folder(root / 'irllrec'), name)[0]


def _xrec(name: str) -> Callable[[Path], HeteroData]:
    def read(root: Path) -> HeteroData:
        folder = _folder(root / 'xrec' / name)
        vectors = {side: _vectors(folder, side) for side in SIDES}
        data = HeteroData()
        for side, (ids, profile) in vectors.items():
            data[side].num_nodes = ids.size
            data[side].profile = profile
        data['item'].text = _read_texts(
            folder / 'norm_item_text.jsonl', vectors['item'][0]
        )
        for part, key in zip(('train', 'val', 'test'), ('edge_index', *HELD_OUT)):
            table = pd.read_csv(folder / f'norm_textsub_{part}.tsv', sep='\t')
            rows = [_find(vectors[side][0], table[side].to_numpy()) for side in SIDES]
            data[RATES][key] = torch.from_numpy(np.stack(rows))
        return data

    return read


def _ml_latest_small(root: Path) -> HeteroData:
    folder = _folder(root / 'ml-latest-small')
    table = pd.read_csv(folder / 'ratings.csv')
    table = table.set_axis(['user', 'item', 'rating', 'time'], axis=1)
    return _liked(table, folder / 'norm_item_text.jsonl')


def _ml_100k(root: Path) -> HeteroData:
    folder = _folder(root / 'ml-100k')
    names = ['user', 'item', 'rating', 'time']
    table = pd.read_csv(folder / 'u.data', sep='\t', names=names)
    return _liked(table, folder / 'norm_item_text.jsonl')


def _liked(table: Any, texts: Path) -> HeteroData:
    data = BinarizeRatings(4)(_graph(table, texts))
    return KCore(1)(data)


def _lastfm_2k(root: Path) -> HeteroData:
    folder = _folder(root / 'lastfm-2k')
    table = pd.read_csv(folder / 'user_artists.dat', sep='\t')[['userID', 'artistID']]
    table = table.set_axis(['user', 'item'], axis=1)
    return _graph(table, folder / 'norm_item_text.jsonl')


def _goodreads(root: Path) -> HeteroData:
    # The users' interest words are not used: held-out books contributed to them.
    folder = _folder(root / 'goodreads')
    table = pd.read_csv(folder / 'norm_interactions.tsv', sep='\t')
    return _graph(table, folder / 'norm_items.jsonl')


def _graph(table: Any, texts: Path) -> HeteroData:
    r"""A graph whose nodes are sorted by id, and whose interactions by node."""
    table = table.sort_values(['user', 'item'], kind='stable')
    data = HeteroData()
    rows, ids = [], {}
    for side in SIDES:
        ids[side], row = np.unique(table[side].to_numpy(), return_inverse=True)
        data[side].num_nodes = ids[side].size
        rows.append(torch.from_numpy(row))
    data[RATES].edge_index = torch.stack(rows)
    if 'rating' in table:
        data[RATES].rating = torch.tensor(table['rating'].to_numpy(np.float32))
        data[RATES].time = torch.tensor(table['time'].to_numpy(np.int64))
    known, vectors = _vectors(texts.parent, 'item')
    data['item'].profile = vectors[_find(known, ids['item'])]
    data['item'].text = _read_texts(texts, ids['item'])
    return data


def _read_texts(path: Path, ids: IntArray) -> list[str]:
    r"""One text per item, joined from the fields of its record."""
    texts = {}
    for line in path.read_text(encoding='utf-8').splitlines():
        record = json.loads(line)
        values = [record[key] for key in TEXT_FIELDS if key in record]
        words = [', '.join(each) if isinstance(each, list) else each for each in values]
        texts[record['item']] = '. '.join(filter(None, words))
    return [texts.get(each, '') for each in ids.tolist()]


def _vectors(folder: Path, side: str) -> tuple[IntArray, Tensor]:
    r"""Sorted ids and one vector per id."""
    with np.load(folder / f'minilm_{side}.npz') as file:
        order = np.argsort(file['ids'])
        vectors = torch.from_numpy(file['embedding'].astype(np.float32)[order])
        return file['ids'][order], vectors


def _find(known: IntArray, ids: IntArray) -> IntArray:
    place = np.searchsorted(known, ids).clip(max=known.size - 1)
    if missing := np.unique(ids[known[place] != ids]).tolist():
        raise ValueError(f'{len(missing)} ids have no vector, first {missing[:5]}')
    return place


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise FileNotFoundError(
            f"'root' must be the folder of all datasets, but {path} does not exist"
        )
    return path


READERS: dict[str, Callable[[Path], HeteroData]] = {
    'amazon': _irllrec('amazon'),
    'movie': _irllrec('movie'),
    'yelp': _irllrec('yelp'),
    'xrec-amazon': _xrec('amazon'),
    'xrec-yelp': _xrec('yelp'),
    'ml-latest-small': _ml_latest_small,
    'ml-100k': _ml_100k,
    'lastfm-2k': _lastfm_2k,
    'goodreads': _goodreads,
    'synthetic': _synthetic,
    'toy': _toy,
}
"""The function that reads each dataset from the root."""
