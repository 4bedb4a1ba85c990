r"""The part of a graph that a bundle keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from textwrap import shorten
from typing import Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.typing import RATES, SIDES, EdgeType, NodeId
from pyg_irllrec.utils.argument_checks import each_of
from pyg_irllrec.utils.edge_store import edge_store, read_edges
from pyg_irllrec.utils.node_data import (
    read_ids,
    read_num_nodes,
    read_texts,
    read_vectors,
)
from pyg_irllrec.utils.split_layout import (
    HELD_OUT_KEYS,
    SplitLayout,
    positive_edges,
    split_layout,
)

TEXTS = ('title', 'text', 'profile_text', 'intent_text')
VECTORS = ('profile', 'intent')
_TITLE_WIDTH = 60  # Of a title made from a text.


def kept_of(data: HeteroData, edge_type: EdgeType) -> HeteroData:
    r"""Copy ids, texts, vectors and interactions, with the types of this package's
    datasets."""
    kept = HeteroData()
    for name, side in zip(SIDES, (edge_type[0], edge_type[2])):
        kept[name].num_nodes = read_num_nodes(data, side)
        kept[name].id = [_plain_id(each) for each in read_ids(data, side)]
        for text in TEXTS:
            if text in data[side]:
                kept[name][text] = _texts(data, side, text)
        for vector in VECTORS:
            if vector in data[side]:
                kept[name][vector] = read_vectors(data, side, vector).cpu()
    store = edge_store(data, edge_type)
    kept[RATES].edge_index = read_edges(store).cpu()
    layout = split_layout(store)
    if layout is SplitLayout.HELD_OUT:
        for key in HELD_OUT_KEYS:
            if key in store:
                kept[RATES][key] = store[key].cpu().long()
    elif layout is SplitLayout.TEST_SET:
        kept[RATES].test_edge_label_index = positive_edges(store).cpu()
    return kept


def _plain_id(value: NodeId) -> NodeId:
    # JSON and Arrow accept no NumPy scalars.
    if type(value) in (int, str):
        return value
    return int(value) if isinstance(value, Integral) else str(value)


def _texts(data: HeteroData, side: str, name: str) -> list[str]:
    r"""Read one text per node; :obj:`""` if it is :obj:`None` or NaN."""
    texts = ('' if _is_missing(each) else each for each in read_texts(data, side, name))
    return list(each_of(f"data['{side}'].{name}", texts, str))


def _is_missing(text: object) -> bool:
    return text is None or (isinstance(text, float) and math.isnan(text))


def all_interactions(kept: HeteroData) -> Tensor:
    r"""Training and held-out interactions, of shape :math:`(2, E)`."""
    store = kept[RATES]
    held_out = [store[key] for key in HELD_OUT_KEYS if key in store]
    return torch.cat([store.edge_index, *held_out], dim=1)


def titles_of(kept: HeteroData, side: str) -> Optional[Sequence[str]]:
    r"""The titles of nodes, if any. A node without a title gets the first words of its
    text."""
    store = kept[side]
    titles: Optional[Sequence[str]] = store.get('title')
    texts: Optional[Sequence[str]] = store.get('text')
    if texts is None:
        return titles
    if titles is None:
        titles = [''] * len(texts)
    return [title or _first_words(text) for title, text in zip(titles, texts)]


def _first_words(text: str) -> str:
    start = text[: 10 * _TITLE_WIDTH]  # The rest cannot matter.
    return shorten(start, _TITLE_WIDTH, placeholder=' ...')
