from __future__ import annotations

from typing import Optional

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData, InMemoryDataset

from pyg_irllrec.datasets._ingest.themes import THEMES
from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.typing import (
    RATES,
    SIDES,
    DataTransform,
    FloatArray,
    IntArray,
    TextEncoder,
)
from pyg_irllrec.utils.argument_checks import check_encoder, check_transform
from pyg_irllrec.utils.checks import (
    check_count,
    check_fraction,
    check_positive,
    check_seed,
)


class SyntheticIntents(InMemoryDataset):
    r"""Users and items drawn from latent intents, with English texts made of the same
    intents. The dataset needs no file and no network, can have any size, and keeps the
    true intents, so that their recovery can be measured.

    A user :math:`u` has a few intents with shares :math:`\theta_u`; an item :math:`i`
    has intents with shares :math:`\phi_i`, and a popularity :math:`\rho_i`. For each
    interaction, an intent :math:`k \sim \theta_u` is drawn, then an item with
    probability proportional to :math:`\rho_i \phi_{ik}`. A share :obj:`noise` of the
    interactions depends only on popularity, and the same share of the words in a
    text comes from random intents. Profiles describe *what* a node is about, intent
    texts *why* people act.

    The :class:`~torch_geometric.data.HeteroData` has the layout of
    :class:`~pyg_irllrec.datasets.IRLLRecDataset` and, for users and items,

    - :obj:`intent_share`, the true shares, of shape :math:`(N, K)`,
    - :obj:`profile_text` and :obj:`intent_text`, lists of :math:`N` texts,

    and :obj:`data.intent_names`, the names of the :math:`K` intents.

    Args:
        num_users (int): The number of users. (default: :obj:`1000`)
        num_items (int): The number of items. (default: :obj:`800`)
        num_intents (int): The number :math:`K` of intents, at most 24.
            (default: :obj:`12`)
        interactions_per_user (float): The mean number of draws per user; repeated
            draws count once, and each user has at least three interactions.
            (default: :obj:`10.0`)
        noise (float): The share of interactions and words that follow no intent.
            (default: :obj:`0.1`)
        val_ratio (float): The share of validation interactions.
            (default: :obj:`0.2`)
        test_ratio (float): The share of test interactions. (default: :obj:`0.2`)
        encoder (callable, optional): Turns a list of texts into an array with one
            row per text; users and items are encoded in one call.
            (default: :obj:`None`, :class:`~pyg_irllrec.text.TfidfEncoder`)
        seed (int): The seed of all draws. (default: :obj:`0`)
        transform (callable, optional): A transform that is applied on every access.
            (default: :obj:`None`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> data = SyntheticIntents(num_users=12, num_items=10, num_intents=2)[0]
        >>> data.intent_names
        ['hiking', 'home baking']
        >>> data['user'].intent_share.shape
        torch.Size([12, 2])
        >>> data['user'].intent_text[0]
        'This person wants to spend quiet days outdoors and to bake bread ...'
    """

    def __init__(
        self,
        num_users: int = 1000,
        num_items: int = 800,
        num_intents: int = 12,
        *,
        interactions_per_user: float = 10.0,
        noise: float = 0.1,
        val_ratio: float = 0.2,
        test_ratio: float = 0.2,
        encoder: Optional[TextEncoder] = None,
        seed: int = 0,
        transform: Optional[DataTransform] = None,
    ) -> None:
        check_count('num_users', num_users)
        check_count('num_items', num_items, least=8)
        check_count('num_intents', num_intents)
        if num_intents > len(THEMES):
            raise ValueError(
                f"'num_intents' must be from 1 to {len(THEMES)}, got {num_intents}"
            )
        check_positive('interactions_per_user', interactions_per_user)
        check_fraction('noise', noise)
        check_fraction('val_ratio', val_ratio)
        check_fraction('test_ratio', test_ratio)
        check_fraction('val_ratio + test_ratio', val_ratio + test_ratio)
        check_seed(seed, bits=32)
        check_transform(transform)
        if encoder is not None:
            check_encoder(encoder)
        super().__init__(None, transform)
        rng = np.random.default_rng(seed)
        user_share = _draw_shares(rng, num_users, num_intents, most=3)
        item_share = _draw_shares(rng, num_items, num_intents, most=2)
        user, item = _draw_interactions(
            rng, user_share, item_share, interactions_per_user, noise
        )
        splits = _split(rng, user, num_users, val_ratio, test_ratio)
        texts = {
            'user': _draw_texts(
                rng, user_share, 'Enjoys', 'This person wants to', noise
            ),
            'item': _draw_texts(
                rng, item_share, 'Offers', 'Chosen by people who want to', noise
            ),
        }

        data = HeteroData()
        data['user'].num_nodes = num_users
        data['item'].num_nodes = num_items
        data.intent_names = [theme.name for theme in THEMES[:num_intents]]
        rates = data[RATES]
        pairs = torch.from_numpy(np.stack([user, item]))
        rates.edge_index = pairs[:, torch.from_numpy(splits == 0)]
        rates.val_edge_label_index = pairs[:, torch.from_numpy(splits == 1)]
        rates.test_edge_label_index = pairs[:, torch.from_numpy(splits == 2)]
        for side, share in zip(SIDES, (user_share, item_share)):
            data[side].intent_share = torch.from_numpy(share.astype(np.float32))
            data[side].profile_text, data[side].intent_text = texts[side]
        encoder = TfidfEncoder(seed=seed) if encoder is None else encoder
        for kind in ('profile', 'intent'):
            sides = [data[side][f'{kind}_text'] for side in SIDES]
            vectors = _encode(encoder, [*sides[0], *sides[1]])
            data['user'][kind], data['item'][kind] = vectors.split(
                [num_users, num_items]
            )
        self.data, self.slices = self.collate([data])

    def __repr__(self) -> str:
        data = self[0]
        return (
            f'{type(self).__name__}(num_users={data["user"].num_nodes}, '
            f'num_items={data["item"].num_nodes}, num_intents={len(data.intent_names)})'
        )


def _draw_shares(
    rng: np.random.Generator, num_nodes: int, num_intents: int, most: int
) -> FloatArray:
    r"""Draw shares of one to :obj:`most` intents per node, of shape :math:`(N, K)`."""
    most = min(most, num_intents)
    count = rng.integers(1, most + 1, size=num_nodes)
    chosen = rng.random((num_nodes, num_intents)).argsort(axis=1)[:, :most]
    weight = rng.gamma(2.0, size=(num_nodes, most)) * (np.arange(most) < count[:, None])
    share = np.zeros((num_nodes, num_intents))
    np.put_along_axis(share, chosen, weight / weight.sum(axis=1, keepdims=True), axis=1)
    return share


def _draw_interactions(
    rng: np.random.Generator,
    user_share: FloatArray,
    item_share: FloatArray,
    interactions_per_user: float,
    noise: float,
) -> tuple[IntArray, IntArray]:
    r"""Draw distinct pairs of user and item, and sort them."""
    num_users, num_intents = user_share.shape
    num_items = item_share.shape[0]
    count = 3 + rng.poisson(
        rng.gamma(2.0, max(interactions_per_user - 3, 0) / 2, num_users)
    )
    user = np.repeat(np.arange(num_users), count)
    intent = (rng.random(user.size)[:, None] > user_share.cumsum(axis=1)[user]).sum(
        axis=1
    )
    # The last row of weights is popularity alone.
    intent = np.where(
        rng.random(user.size) < noise, num_intents, intent.clip(max=num_intents - 1)
    )
    popularity = 1 / (1 + rng.permutation(num_items)) ** 0.6
    weight = np.vstack([item_share.T, np.ones(num_items)]) * popularity
    empty = weight.sum(axis=1) == 0  # No item has this intent.
    weight[empty] = popularity
    item = np.empty(user.size, dtype=np.int64)
    for k, row in enumerate(weight):
        drawn = intent == k
        item[drawn] = rng.choice(num_items, size=int(drawn.sum()), p=row / row.sum())
    # At least three distinct items, so that every split can get one.
    first = rng.random((num_users, 1)) * num_items
    extra = (first.astype(np.int64) + np.arange(3)) % num_items
    degree = np.bincount(
        np.unique(user * num_items + item) // num_items, minlength=num_users
    )
    few = np.flatnonzero(degree < 3)
    user = np.concatenate([user, few.repeat(3)])
    item = np.concatenate([item, extra[few].ravel()])
    key = np.unique(user * num_items + item)
    return key // num_items, key % num_items


def _split(
    rng: np.random.Generator,
    user: IntArray,
    num_users: int,
    val_ratio: float,
    test_ratio: float,
) -> IntArray:
    r"""Draw 0 (training), 1 (validation) or 2 (test) for each interaction of each user,
    at least one of them for training."""
    order = np.lexsort((rng.random(user.size), user))
    degree = np.bincount(user, minlength=num_users)
    start = np.concatenate([[0], degree.cumsum()[:-1]])
    position = np.empty(user.size, dtype=np.int64)
    position[order] = np.arange(user.size) - start[user[order]]
    test = np.floor(degree * test_ratio + 0.5).astype(np.int64)[user]
    val = np.floor(degree * val_ratio + 0.5).astype(np.int64)[user]
    left = degree[user] - 1 - position
    split = np.where(left < test, 2, np.where(left < test + val, 1, 0))
    return np.where(position == 0, 0, split)


def _draw_texts(
    rng: np.random.Generator, share: FloatArray, about: str, why: str, noise: float
) -> tuple[list[str], list[str]]:
    r"""Draw one profile text and one intent text per node."""
    num_nodes, num_intents = share.shape
    draws = (
        rng.random((num_nodes, 6))[:, :, None] > share.cumsum(axis=1)[:, None]
    ).sum(axis=2)
    draws = draws.clip(max=num_intents - 1)
    stray = rng.random(draws.shape) < noise
    draws = np.where(stray, rng.integers(num_intents, size=draws.shape), draws)
    thing = rng.integers(len(THEMES[0].things), size=draws.shape)
    profiles, intents = [], []
    for themes, things in zip(draws.tolist(), thing.tolist()):
        named = zip(themes[:4], things[:4])
        *rest, last = dict.fromkeys(f'the {THEMES[k].things[t]}' for k, t in named)
        words = f'{", ".join(rest)} and {last}' if rest else last
        profiles.append(f'{about} {words}; mostly about {THEMES[themes[0]].name}.')
        motives = dict.fromkeys(THEMES[k].motive for k in themes[4:])
        intents.append(f'{why} {" and to ".join(motives)}.')
    return profiles, intents


def _encode(encoder: TextEncoder, texts: list[str]) -> Tensor:
    vectors = torch.as_tensor(np.asarray(encoder(texts), dtype=np.float32))
    if vectors.dim() != 2 or vectors.size(0) != len(texts):
        raise ValueError(
            f"'encoder' must return one row per text, {len(texts)} rows, got shape "
            f'{tuple(vectors.shape)}'
        )
    return vectors
