"""Small files: raw files with a given text, and the layout of the authors."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from pyg_irllrec.datasets import SyntheticIntents

NUM_USERS, NUM_ITEMS = 40, 30
TEXTS = ('usr_emb_np', 'itm_emb_np', 'user_intent_emb_3', 'item_intent_emb_3')


def write_files(folder: Path, files: dict[str, str], encoding: str = 'utf-8') -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(text.encode(encoding))
    return folder


def write_pickle(folder: Path, name: str, value: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'{name}.pkl').write_bytes(pickle.dumps(value))


def matrix(pairs: Any, shape: tuple[int, int] = (NUM_USERS, NUM_ITEMS)) -> Any:
    row, col = np.asarray(pairs)
    return scipy.sparse.coo_matrix((np.ones(len(row)), (row, col)), shape)


def write_dataset(root: Path, name: str = 'amazon', text: bool = True) -> Path:
    """Write a complete dataset of synthetic interactions."""
    data = SyntheticIntents(NUM_USERS, NUM_ITEMS, num_intents=3)[0]
    rates = data['user', 'rates', 'item']
    folder = root / name
    write_pickle(folder, 'trn_mat', matrix(rates.edge_index))
    write_pickle(folder, 'val_mat', matrix(rates.val_edge_label_index))
    write_pickle(folder, 'tst_mat', matrix(rates.test_edge_label_index))
    if text:
        values = [
            data[side][kind]
            for kind in ('profile', 'intent')
            for side in ('user', 'item')
        ]
        for file, value in zip(TEXTS, values, strict=True):
            write_pickle(folder, file, value.numpy().astype(np.float16))
    return folder
