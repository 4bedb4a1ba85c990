"""Small bundles for tests, each made once, with models after a few training steps."""

from __future__ import annotations

from functools import cache
from typing import Any, Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.nn import Recommender
from pyg_irllrec.serving import Bundle
from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.transforms import EncodeText
from pyg_irllrec.typing import RATES, SIDES

NUM_USERS, NUM_ITEMS = 60, 40


def small_data(names: bool = True, dim: int = 16) -> tuple[HeteroData, TfidfEncoder]:
    r"""The embedded dataset, with string ids and titles if :obj:`names`, and the
    encoder of its profiles and intents."""
    data = SyntheticIntents(NUM_USERS, NUM_ITEMS, 4)[0]
    if names:
        data['user'].id = [f'user-{row:03}' for row in range(NUM_USERS)]
        data['item'].id = [f'book {row}' for row in range(NUM_ITEMS)]
        data['item'].title = [f'The Story of Book {row}' for row in range(NUM_ITEMS)]
        data['item'].text = list(data['item'].profile_text)
    texts = [
        text
        for side in SIDES
        for name in ('profile_text', 'intent_text')
        for text in data[side][name]
    ]
    encoder = TfidfEncoder(dim).fit(texts)
    for name in ('profile', 'intent'):
        data = EncodeText(encoder, f'{name}_text', name)(data)
    return data, encoder


def small_model(
    data: HeteroData,
    backbone: Any = 'lightgcn',
    alignment: str = 'auto',
    preset: Optional[dict[str, Any]] = None,
) -> Recommender:
    r"""A model after three training steps, blended with its companions if any."""
    torch.manual_seed(0)
    model = build_model(data, backbone, alignment, preset)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        model.loss(_triplets(data)).total.backward()
        optimizer.step()
    if model.blend_weight is not None:
        rest = model.blend_weight.numel() - 1
        model.blend_weight.copy_(torch.tensor([0.6] + [0.4 / rest] * rest))
    return model


@cache
def plain_bundle() -> Bundle:
    r"""The default model, blended with EASE, with string ids, titles, texts and the
    encoder."""
    data, encoder = small_data()
    metrics = {'recall@20': 0.25, 'ndcg@20': 0.125}
    return Bundle(small_model(data), data, encoder=encoder, metrics=metrics)


@cache
def full_bundle() -> Bundle:
    r"""IRLLRec with profiles and intents, string ids and the encoder."""
    data, encoder = small_data()
    return Bundle(small_model(data, alignment='full'), data, encoder=encoder)


@cache
def bare_bundle() -> Bundle:
    r"""LightGCN only: integer ids, no titles, texts or encoder."""
    data, _ = small_data(names=False)
    bare = HeteroData()
    for side in SIDES:
        bare[side].num_nodes = data[side].num_nodes
    bare[RATES].edge_index = data[RATES].edge_index
    return Bundle(small_model(bare, alignment='none'), bare)


def _triplets(data: HeteroData) -> Tensor:
    user, item = data[RATES].edge_index
    other = torch.randint(data['item'].num_nodes, item.shape)
    return torch.stack([user, item, other])
